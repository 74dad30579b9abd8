"""Runs diffusevae-benchmark over sizes; writes FOLDER/scaling.md and FOLDER/images/scaling.svg.

    scaling.py BENCHMARK FOLDER
"""
import json
import math
import pathlib
import subprocess
import sys

NETS = ["vae", "mlp", "unet"]
BATCHES = [16, 32, 64, 128, 256, 512]
SWEEPS = [
    # Title, the column's name, and rows: what is varied, and the options that do it.
    ("Width of the MLP denoiser", "width", "mlp",
     [(str(w), ["--set", f"denoiser.width={w}"]) for w in (256, 512, 1024, 2048)]),
    ("Channels of the U-Net", "channels", "unet",
     [(f"{a}, {b}, {b}", ["--set", f"denoiser.channels=[{a},{b},{b}]"])
      for a, b in ((16, 32), (32, 64), (64, 128))]),
    ("Size of the image, U-Net, batches of 64", "image", "unet",
     [(f"{s}×{s}", ["--image", f"{s}x{s}x1", "--batch", "64"]) for s in (16, 28, 32, 64)]),
    ("Lanes, U-Net, two threads", "lanes", "unet",
     [(str(n), ["--lanes", str(n), "--threads", "2"]) for n in (1, 2, 4, 8)]),
    ("Threads, U-Net, four lanes", "threads", "unet",
     [(str(n), ["--threads", str(n), "--lanes", "4"]) for n in (1, 2)]),
]
HEADER = "| {} | ms/step | images/s | memory, MB | expected, MB |\n|---|---|---|---|---|\n"


def measure(benchmark, net, options):
    return json.loads(subprocess.run(
        [benchmark, "--net", net, "--json", "--updates", "7", "--set", "sampling.steps=1",
         *options], check=True, stdout=subprocess.PIPE, text=True).stdout)


def median(result):
    times = result["training"]["milliseconds"]
    return times[len(times) // 2]


def row(name, result):
    step = median(result)
    memory = result["training"]["peak_bytes"]
    return (f"| {name} | {step:.1f} | {1e3 * result['batch'] / step:.0f} | {memory / 1e6:.0f} "
            f"| {result['estimated_bytes'] / 1e6:.0f} |\n")


def plot(series):
    """Images a second against the batch, both axes logarithmic, as SVG."""
    width, height, left, bottom = 560, 320, 60, 40
    rates = [rate for points in series.values() for _, rate in points]
    low = 10 ** math.floor(math.log10(min(rates)))
    high = 10 ** math.ceil(math.log10(max(rates)))

    def x(batch):
        return left + (width - left - 90) * BATCHES.index(batch) / (len(BATCHES) - 1)

    def y(rate):
        return 10 + (height - bottom - 10) * math.log(high / rate) / math.log(high / low)

    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
             'font-family="sans-serif" font-size="12">',
             f'<rect width="{width}" height="{height}" fill="white"/>']
    for rate in (10 ** power for power in range(10) if low <= 10 ** power <= high):
        lines.append(f'<line x1="{left}" x2="{width - 90}" y1="{y(rate):.1f}" y2="{y(rate):.1f}" '
                     f'stroke="#ddd"/><text x="{left - 6}" y="{y(rate) + 4:.1f}" '
                     f'text-anchor="end">{rate}</text>')
    for batch in BATCHES:
        lines.append(f'<text x="{x(batch):.1f}" y="{height - bottom + 18}" '
                     f'text-anchor="middle">{batch}</text>')
    lines.append(f'<text x="{left}" y="{height - 6}">images a second by images in a batch</text>')
    for (net, points), colour in zip(series.items(), ("#1b6ca8", "#c4541b", "#2f8f4e")):
        path = " ".join(f"{x(batch):.1f},{y(rate):.1f}" for batch, rate in points)
        batch, rate = points[-1]
        lines.append(f'<polyline points="{path}" fill="none" stroke="{colour}" '
                     f'stroke-width="2"/><text x="{x(batch) + 8:.1f}" y="{y(rate) + 4:.1f}" '
                     f'fill="{colour}">{net}</text>')
    return "\n".join(lines + ["</svg>"]) + "\n"


def processor():
    """The first one's name, family and model, as Linux has them."""
    fields = dict(
        [part.strip() for part in line.split(":", 1)]
        for line in pathlib.Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines())
    return (f"{fields.get('model name', 'a processor')} (family {fields.get('cpu family')}, "
            f"model {fields.get('model')})")


def main():
    benchmark, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    series, tables = {}, []
    for net in NETS:
        results = [(b, measure(benchmark, net, ["--batch", str(b)])) for b in BATCHES]
        series[net] = [(b, 1e3 * b / median(r)) for b, r in results]
        tables.append(f"## Batch, {net}\n\n" + HEADER.format("batch")
                      + "".join(row(b, r) for b, r in results))
        kernels, threads = results[0][1]["kernels"], results[0][1]["threads"]
    for title, name, net, variants in SWEEPS:
        tables.append(f"## {title}\n\n" + HEADER.format(name) + "".join(
            row(value, measure(benchmark, net, options)) for value, options in variants))
    text = f"""# How time and memory grow

Written by `scripts/scaling`: training steps by the default settings on 28×28×1 images in batches
of 256 and two lanes, unless a table says otherwise; medians of seven; {processor()},
OpenBLAS `{kernels}`, {threads} threads, `OPENBLAS_CORETYPE` and `OPENBLAS_L2_SIZE` unset. Memory is the
largest of the process; what was expected is what `--dry-run` says.

![images a second by the batch](images/scaling.svg)

"""
    (folder / "scaling.md").write_text(text + "\n".join(tables))
    (folder / "images/scaling.svg").write_text(plot(series))


main()
