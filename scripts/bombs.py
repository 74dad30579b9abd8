"""What scripts/bombs does: bombs.py FOLDER-OF-COMMANDS"""
import io
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib

MILLISECONDS, MIB = 100, 64

SMALL = """vae: {hidden: [24], latent: 4}
denoiser: {width: 24, blocks: 2}
diffusion: {steps: 50}
sampling: {steps: 5}
prior: {components: 3}
training: {grids: 0, vae: {steps: 5}, denoiser: {steps: 5}}
"""


def compressed(parts, wbits=31):
    """What parts, which are never in memory together, are in gzip; or with wbits 15 in zlib."""
    machine = zlib.compressobj(9, zlib.DEFLATED, wbits)
    return b"".join([machine.compress(part) for part in parts] + [machine.flush()])


def zeros(count):
    whole, rest = divmod(count, 1 << 20)
    return [bytes(1 << 20)] * whole + [bytes(rest)]


def idx(*sizes):
    return bytes([0, 0, 8, len(sizes)]) + b"".join(struct.pack(">I", size) for size in sizes)


def npy(shape, kind="<f4", length=None):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    size = struct.pack("<I", len(header) if length is None else length)
    return b"\x93NUMPY\2\0" + size + header


def archived(arrays):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, parts in arrays:
            with archive.open(name, "w", force_zip64=True) as array:
                for part in parts:
                    array.write(part)
    return file.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(
        ">I", zlib.crc32(kind + content))


def png(width, height, data, extra=b"", depth=8, colour=0):
    size = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + extra + chunk(b"IDAT", data)
            + chunk(b"IEND", b""))


def safetensors(header, length=None):
    return struct.pack("<Q", len(header) if length is None else length) + header


def sets():
    """Name, file in a folder of images, what makes its content, and the size that the file is extended to
    by a hole."""
    images = "train-images-idx3-ubyte"
    yield "gzip: 1 GiB of zeros behind one image", images, lambda: compressed(
        [idx(1, 28, 28), *zeros(1 << 30)]), None
    yield "gzip: 1 GiB of zeros, less than promised", images, lambda: compressed(
        [idx(1 << 20, 32, 33), *zeros(1 << 30)]), None
    yield "gzip: 1 GiB of zeros without a header", images, lambda: compressed(zeros(1 << 30)), None
    yield "gzip: nothing but empty members", images, lambda: compressed([]) * 50_000, None
    yield "IDX: images of 2^96 bytes", images, lambda: idx(*[2**32 - 1] * 3), None
    yield "IDX: 8 GiB behind one image", images, lambda: idx(1, 28, 28), 8 << 30
    yield "CIFAR-10: 512 MiB, not whole records", "data_batch_1.bin", lambda: b"\0", 1 << 29
    arrays = "train-images.npy"
    yield "NPY: 10^18 elements", arrays, lambda: npy(f"({10**18},)"), None
    yield "NPY: 10^18 elements times none", arrays, lambda: npy(f"({10**18}, 0)"), None
    yield "NPY: a header of 2^32 - 1 bytes", arrays, lambda: npy("(1,)", length=2**32 - 1), 1 << 30
    line = npy(f"({1 << 30},)", "|u1")
    yield "NPY: 1 GiB of bytes in one dimension", arrays, lambda: line, (1 << 30) + len(line)
    yield "NPY: brackets in brackets", arrays, lambda: npy("(" * 9000), None
    archive = "train-images.npz"
    yield "NPZ: 1 GiB of zeros", archive, lambda: archived([("images.npy", zeros(1 << 30))]), None
    yield "NPZ: 1 000 000 arrays", archive, lambda: archived(
        [(f"{i}.npy", [b""]) for i in range(1_000_000)]), None
    picture = "train/x.png"
    pixel = compressed([bytes(2)], 15)
    yield "PNG: 2^31 - 1 by 2^31 - 1 pixels", picture, lambda: png(
        2**31 - 1, 2**31 - 1, pixel), None
    yield "PNG: 65536 by 65536 pixels", picture, lambda: png(65536, 65536, pixel), None
    yield "PNG: 65536 by 65536 pixels that are there", picture, lambda: png(
        65536, 65536, compressed(zeros(65536 * 8193), 15), depth=1), None
    yield "PNG: 16384 by 16384 pixels that are there", picture, lambda: png(
        16384, 16384, compressed(zeros(16384 * 16385), 15)), None
    yield "PNG: one pixel, and 1 GiB behind it", picture, lambda: png(
        1, 1, compressed(zeros(1 << 30), 15)), None
    yield "PNG: 512 by 512 pixels, and 256 MiB behind them", picture, lambda: png(
        512, 512, compressed(zeros(1 << 28), 15)), None
    yield "PNG: 900 texts of 8 MB each", picture, lambda: png(
        1, 1, pixel, chunk(b"zTXt", b"a\0\0" + compressed(zeros(7_900_000), 15)) * 900), None
    yield "PNG: a colour profile of 1 GiB", picture, lambda: png(
        1, 1, pixel, chunk(b"iCCP", b"p\0\0" + compressed(zeros(1 << 30), 15))), None
    yield "PNG: 8 GiB behind the picture", picture, lambda: png(1, 1, pixel), 8 << 30
    yield "PNG: 1 000 000 chunks", picture, lambda: png(
        1, 1, pixel, chunk(b"abCd", b"") * 1_000_000), None


def laughs():
    return "l0: &l0 [x, x]\n" + "".join(
        f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 60))


def texts():
    yield "lists of aliases of lists of aliases", laughs
    yield "the same as a key", lambda: laughs() + "? [*l59, *l59]\n: 1\n"
    for opening in ["[", "{", "{a: ", "- ", "? "]:
        yield f"{opening.strip()} in {opening.strip()} …", lambda: opening * (
            65_000 // len(opening))
    yield "anchors", lambda: "".join(f"- &a{i} [*a{i - 1}]\n" for i in range(1, 3000))
    yield "unknown settings", lambda: "".join(f"setting{i}: 1\n" for i in range(4000))
    yield "unknown settings, short", lambda: "{" + ", ".join(f"a{i:x}" for i in range(9000)) + "}"
    yield "one setting, time and again", lambda: "vae: {latent: 1}\n" * 3800
    yield "keys in keys", lambda: "".join(
        "{" * 200 + str(i) + ": 1}" * 200 + ": 1\n" for i in range(60)) + "a: 1\n" * 20
    yield "a list of 32 000 numbers", lambda: "vae: {hidden: [" + "1," * 32_000 + "]}"
    yield "a text of 65 000 letters", lambda: "data: {set: \"" + "a" * 65_000 + "\", x: 1}"
    yield "65 000 letters as a setting", lambda: "\"" + "a" * 65_000 + "\": 1"


def configurations():
    for name, text in texts():
        yield f"YAML: {name}", lambda: text().encode(), None
    yield "YAML: 8 GiB", lambda: b"vae: {}\n", 8 << 30


def weights():
    yield "safetensors: a header of 2^60 bytes", lambda: safetensors(b"{}", 2**60), None
    yield "safetensors: a header of 100 MB", lambda: safetensors(b"{", 10**8), 10**8 + 8
    entry = '"{}":{{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}'
    for count in (36_000, 300_000):
        yield f"safetensors: {count} tensors", lambda: safetensors(
            f"{{{','.join(entry.format(i) for i in range(count))}}}".encode()), None
    yield "safetensors: brackets in brackets", lambda: safetensors(b'{"a":' + b"[" * 2_000_000), None
    yield "safetensors: 800 000 dimensions", lambda: safetensors(
        b'{"a":{"dtype":"F32","shape":[' + b"1," * 800_000 + b"1]}}"), None
    yield "safetensors: a note of 2 MB", lambda: safetensors(
        b'{"__metadata__":{"a":"' + b"\\u0041" * 340_000 + b'"}}'), None
    yield "safetensors: a tensor of 2^63 - 1 numbers", lambda: safetensors(
        b'{"a":{"dtype":"F32","shape":[9223372036854775807],"data_offsets":[0,8]}}') + bytes(8), None
    yield "safetensors: 8 GiB behind a tensor", lambda: safetensors(
        b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'), 8 << 30


class Bench:
    def __init__(self, folder, place):
        self.folder, self.place, self.failed = folder, place, False
        self.environment = {key: value for key, value in os.environ.items()
                            if key != "DIFFUSEVAE_DATA"}

    def measured(self, command):
        """The error, the least milliseconds of nine runs, MiB, and whether it is a proper refusal."""
        runs = []
        for _ in range(9):
            with open(self.place / "errors", "w+b") as errors:
                start = time.monotonic()
                process = subprocess.Popen(
                    [f"{self.folder}/{command[0]}", *command[1:]], cwd=self.place, stderr=errors,
                    stdout=subprocess.DEVNULL, env=self.environment)
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.monotonic() - start
                process.returncode = os.waitstatus_to_exitcode(status)
                errors.seek(0)
                text = errors.read().decode(errors="replace").strip()
            runs.append((seconds * 1000, usage.ru_maxrss / 1024))
        return text, min(run[0] for run in runs), min(run[1] for run in runs), (
            process.returncode in (1, 64) and bool(text))

    def write(self, name, content, size):
        """By another process: a command's peak of memory is at least that of the process that starts it,
        which is to remain small."""
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = os.fork()
        if not writer:
            with open(path, "wb") as file:
                file.write(content())
                if size:
                    file.truncate(size)
            os._exit(0)
        os.waitpid(writer, 0)
        return path

    def rows(self, command, baseline, bombs):
        """A row for each bomb; its file is gone afterwards."""
        for name, file, content, size in bombs:
            _, ms, mib, _ = self.measured(baseline)
            path = self.write(file, content, size)
            text, bomb_ms, bomb_mib, refused = self.measured(command)
            path.unlink()
            more_ms, more_mib = max(0, bomb_ms - ms), max(0, bomb_mib - mib)
            good = refused and more_ms <= MILLISECONDS and more_mib <= MIB
            self.failed |= not good
            sentence = text.splitlines()[0].removeprefix("Error: ") if text else "nothing"
            sentence = sentence if len(sentence) <= 120 else sentence[:120] + "…"
            print(f"| {name} | {sentence.replace('|', '¦')} | {more_ms:.0f} | {more_mib:.0f} |"
                  + ("" if good else " **too much** |"), flush=True)


def main():
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        bench = Bench(sys.argv[1], place)
        (place / "small.yaml").write_text(SMALL)
        subprocess.run([f"{sys.argv[1]}/diffusevae-train", "--config", "small.yaml"], cwd=place,
                       check=True, capture_output=True)
        print("| bomb | what is said | ms | MiB |\n|---|---|---|---|")

        train = ["diffusevae-train", "--config", "small.yaml", "--set"]
        for name, file, *rest in sets():
            bench.rows([*train, "data={set: x, folder: set}"],
                       [*train, "data={set: x, folder: none}"],
                       [(name, f"set/{file}", *rest)])
            shutil.rmtree(place / "set")

        bench.rows(["diffusevae-train", "--config", "bomb.yaml"],
                   ["diffusevae-train", "--config", "none.yaml"],
                   ((name, "bomb.yaml", *rest) for name, *rest in configurations()))

        file = "runs/small/vae.safetensors"
        (place / file).unlink()
        sample = ["diffusevae-sample", "--run", "small", "--stage", "vae", "--out", "x.png"]
        bench.rows(sample, sample, ((name, file, *rest) for name, *rest in weights()))
        sys.exit(bench.failed)


main()
