"""Runs diffusevae-benchmark and PyTorch in turn, and prints how they compare.

    peers.py BENCHMARK [options of diffusevae-benchmark]

Every network is measured by both, three times in turn; the middle ones are compared. Ratios are
PyTorch's time, or memory, by this program's; of sampling, this program's rate by PyTorch's.
"""
import json
import pathlib
import subprocess
import sys
import tempfile

MODES = [("eager", "float32"), ("compile", "float32"), ("eager", "bfloat16"),
         ("compile", "bfloat16")]
# By processors without it bfloat16 is emulated, at many times the cost of float32: nobody trains so.
if "avx512_bf16" not in pathlib.Path("/proc/cpuinfo").read_text():
    MODES = [mode for mode in MODES if mode[1] != "bfloat16"]
ROUNDS = 3


def run(*command):
    return json.loads(subprocess.run(
        [str(part) for part in command], check=True, stdout=subprocess.PIPE, text=True).stdout)


def middle(values):
    values = sorted(values)
    return values[len(values) // 2]


def option(arguments, name, default):
    return arguments[arguments.index(name) + 1] if name in arguments else default


def refuse(arguments):
    if "--image" in arguments:
        sys.exit("--peers races on 28×28×1 images only: leave out --image")


def race(benchmark, net, arguments, folder):
    subprocess.run([benchmark, "--net", net, "--export", folder, *arguments], check=True)
    batch = option(arguments, "--batch", "256")
    ours, theirs = [], {mode: [] for mode in MODES}
    for _ in range(ROUNDS):
        ours.append(run(benchmark, "--net", net, "--json", *arguments))
        for mode, precision in MODES:
            theirs[mode, precision].append(run(
                sys.executable, pathlib.Path(__file__).with_name("race.py"), folder, net,
                "--mode", mode, "--precision", precision, "--batch", batch,
                "--threads", ours[0]["threads"]))
    step = middle(middle(o["training"]["milliseconds"]) for o in ours)
    memory = middle(o["training"]["peak_bytes"] for o in ours)
    rate = middle(o["sampling"]["rates"][1] for o in ours) if net != "vae" else None
    print(f"{net:5} {'this program':20} {step:8.1f} ms/step {memory / 1e6:6.0f} MB"
          + (f" {rate:8.0f} images·steps/s" if rate else ""), flush=True)
    for (mode, precision), results in theirs.items():
        their_step = middle(middle(r["milliseconds"]) for r in results)
        their_memory = middle(r["peak_bytes"] for r in results)
        line = (f"{net:5} {mode + ' ' + precision:20} {their_step:8.1f} ms/step "
                f"{their_memory / 1e6:6.0f} MB")
        ratios = f"step {their_step / step:.2f}, memory {their_memory / memory:.2f}"
        if rate:
            their_rate = middle(r["rate"] for r in results)
            line += f" {their_rate:8.0f} images·steps/s"
            ratios += f", sampling {rate / their_rate:.2f}"
        print(f"{line}  ratios: {ratios}", flush=True)


benchmark, *arguments = sys.argv[1:]
# `--name=value` is `--name value`.
arguments = [word for a in arguments for word in (a.split("=", 1) if a[:2] == "--" else [a])]
refuse(arguments)
for net in ["vae", "mlp", "unet"]:
    with tempfile.TemporaryDirectory() as folder:
        race(benchmark, net, arguments, folder)
