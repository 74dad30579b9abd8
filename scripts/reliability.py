"""What scripts/reliability does: reliability.py DIFFUSEVAE_TRAIN kills|signals|memory|time COUNT"""
import hashlib
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import sys
import tempfile

CONFIG = """data: {validation: 100}
vae: {hidden: [256], latent: 8}
denoiser: {width: 192, blocks: 2}
diffusion: {steps: 50}
sampling: {steps: 5}
prior: {components: 3}
training:
  checkpoint_steps: 1
  grids: 5
  vae: {steps: 150, batch: 50}
  denoiser: {steps: 150, batch: 50}
"""
WEIGHTS = ["vae", "prior", "denoiser"]

# What is trained to see its memory: words of --set.
MEMORY = [
    [],
    ["denoiser.width=2048"],
    ["denoiser.width=2048", "training.denoiser.batch=1024"],
    ["denoiser.width=512", "denoiser.blocks=12", "training.denoiser.batch=1024"],
    ["training.lanes=8"],
    ["vae.hidden=[4096, 4096]", "vae.latent=256"],
    ["vae.hidden=[2048]", "vae.samples=20", "vae.objective=iwae"],
    ["denoiser.kind=unet", "training.denoiser.batch=64"],
    ["denoiser.kind=unet", "denoiser.channels=[64, 128]", "training.denoiser.batch=256"],
    ["denoiser.kind=unet", "denoiser.channels=[128, 128, 128]", "training.denoiser.batch=512"],
    ["diffusion.formulation=none", "denoiser.width=3000", "denoiser.blocks=3"],
    ["training.plan=joint", "denoiser.width=1536"],
]

# What is trained to see how long it takes: likewise. The built-in digits, all of it some seconds at least.
TIME = [
    ["denoiser.width=256", "training.denoiser.epochs=100"],
    ["denoiser.kind=unet", "training.denoiser.epochs=12", "training.denoiser.batch=32"],
    ["vae.samples=5", "vae.objective=iwae", "diffusion.formulation=centred", "training.grids=10"],
    ["training.plan=joint", "denoiser.width=512", "training.denoiser.epochs=40"],
]


def digests(run):
    return [hashlib.sha256((run / f"{name}.safetensors").read_bytes()).hexdigest()
            for name in WEIGHTS]


def ended(train, place, count, end):
    """Ends trainings in the way of `end` until there were `count` of that, and says what came of it."""
    chance = random.Random(0)
    (place / "a.yaml").write_text(CONFIG)

    def command(name):
        return [train, "--config", str(place / "a.yaml"), "--runs", str(place), "--name", name,
                "--resume", "auto"]

    subprocess.run(command("whole"), check=True, capture_output=True)
    expected = digests(place / "whole")
    found = dict.fromkeys(["ends", "inside", "codes", "damaged", "lost", "runs", "wrong"], 0)
    number, known = 0, ("vae", 0)  # The last checkpoint that a training has gone on from.
    while found["ends"] < count:
        run = place / f"run-{number}"
        process = subprocess.Popen(command(run.name), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, text=True)
        codes = [0]  # It may come to its end by itself just then.
        try:
            errors = process.communicate(timeout=chance.uniform(0.1, 0.7))[1]
        except subprocess.TimeoutExpired:
            number_sent, codes = end(chance)
            process.send_signal(number_sent)
            errors = process.communicate()[1]
            found["ends"] += 1
            found["inside"] += any((run / "state").glob(".*.tmp")) or any(run.glob(".*.tmp"))
        if process.returncode not in [0, *codes]:
            sys.exit(f"after {found['ends']}: exit {process.returncode}: {errors}")
        found["codes"] += process.returncode in codes and codes != [0]
        found["damaged"] += "going on from a checkpoint before it" in errors
        seen = re.search(r"(stage one|stage two): going on from step (\d+)", errors)
        if seen:
            at = ({"stage one": "vae", "stage two": "denoiser"}[seen[1]], int(seen[2]))
            order = [WEIGHTS.index(stage) for stage, _ in (known, at)]
            found["lost"] += (order[1], at[1]) < (order[0], known[1])
            known = at
        stopped = re.search(r"(stage one|stage two): stopped after step (\d+)", errors)
        if stopped:
            known = ({"stage one": "vae", "stage two": "denoiser"}[stopped[1]], int(stopped[2]))
        if process.returncode == 0:
            found["runs"] += 1
            found["wrong"] += digests(run) != expected
            number, known = number + 1, ("vae", 0)
    return found


def kills(train, place, count):
    found = ended(train, place, count, lambda chance: (signal.SIGKILL, [-signal.SIGKILL]))
    print("| | |\n|---|---|")
    print(f"| kills at random moments, saving after every update | {found['ends']} |")
    print(f"| of them while a file was being written | {found['inside']} |")
    return report(found)


def signals(train, place, count):
    def one(chance):
        number = chance.choice([signal.SIGINT, signal.SIGTERM])
        # As a shell says it; and so it says it of one who had not come to hear signals yet.
        return number, [128 + number, -number]

    found = ended(train, place, count, one)
    print("| | |\n|---|---|")
    print(f"| signals at random moments, SIGINT or SIGTERM | {found['ends']} |")
    print(f"| trainings that ended with its code, 130 or 143 | {found['codes']} |")
    return report(found)


def report(found):
    print(f"| checkpoints that could not be read | {found['damaged']} |")
    print(f"| trainings that went on from an earlier step than one before | {found['lost']} |")
    print(f"| runs that came to their end, ended on the way | {found['runs']} |")
    print(f"| of them with other bits than a run that nothing happened to | {found['wrong']} |")
    return not (found["damaged"] or found["lost"] or found["wrong"])


def memory(train, place, count):
    """The estimate of --dry-run against the most that the process had, images being 28 by 28."""
    pixels = bytes(range(256)) * (28 * 28 * 2048 // 256)
    images = b"\0\0\x08\x03" + b"".join(n.to_bytes(4, "big") for n in [2048, 28, 28]) + pixels
    (place / "made").mkdir()
    (place / "made/train-images-idx3-ubyte").write_bytes(images)
    (place / "made/t10k-images-idx3-ubyte").write_bytes(images)
    (place / "a.yaml").write_text(
        f"data: {{set: made, folder: {place}}}\nprior: {{kind: normal}}\ntraining: {{grids: 0, vae: {{steps: 4}}, "
        "denoiser: {steps: 4}}\n")
    print("| settings | estimate, MiB | peak, MiB | off by |\n|---|---|---|---|")
    worst = 0
    for number, settings in enumerate(MEMORY[:count]):
        words = [train, "--config", str(place / "a.yaml"), "--runs", str(place), "--name", f"run-{number}"]
        words += [word for setting in settings for word in ("--set", setting)]
        said = subprocess.run([*words, "--dry-run"], check=True, capture_output=True, text=True).stdout
        units = {"MiB": 1, "GiB": 1024}
        estimate = max(float(n) * units[unit]
                       for n, unit in re.findall(r"about ([\d.]+) (MiB|GiB) of memory", said))
        process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            sys.exit(f"{settings}: fails")
        peak = usage.ru_maxrss / 1024
        worst = max(worst, abs(estimate / peak - 1))
        print(f"| `{' '.join(settings) or 'the defaults'}` | {estimate:.0f} | {peak:.0f} | "
              f"{estimate / peak - 1:+.0%} |", flush=True)
    print(f"\nThe worst is off by {worst:.1%}.")
    return worst < 0.15


def time(train, place, count):
    """What a tenth of a stage's updates say of the time that all will take, against what they took."""
    (place / "a.yaml").write_text("training: {vae: {epochs: 60}}\n")
    print("| settings | stage | said after a tenth, s | taken, s | off by |\n|---|---|---|---|---|")
    worst = 0
    for number, settings in enumerate(TIME[:count]):
        words = [train, "--config", str(place / "a.yaml"), "--runs", str(place), "--name", f"run-{number}"]
        words += [word for setting in settings for word in ("--set", setting)]
        subprocess.run(words, check=True, capture_output=True)
        entries = [json.loads(line) for line in (place / f"run-{number}/metrics.jsonl").read_text().splitlines()]
        for stage in dict.fromkeys(entry["stage"] for entry in entries):
            updates = [entry for entry in entries if entry["stage"] == stage and "images_per_second" in entry]
            tenth = next(entry for entry in updates if 10 * entry["step"] >= updates[-1]["step"])
            said, taken = tenth["seconds"] + tenth["seconds_left"], updates[-1]["seconds"]
            worst = max(worst, abs(said / taken - 1))
            print(f"| `{' '.join(settings)}` | {stage} | {said:.1f} | {taken:.1f} | {said / taken - 1:+.0%} |",
                  flush=True)
    print(f"\nThe worst is off by {worst:.1%}.")
    return worst < 0.2


def main():
    train, part, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        if not {"kills": kills, "signals": signals, "memory": memory, "time": time}[part](
                train, pathlib.Path(folder), count):
            sys.exit(1)


if __name__ == "__main__":
    main()
