"""The table of scripts/samplers: samplers.py FOLDER_OF_COMMANDS RUN [COUNT [EVALUATIONS]]"""
import pathlib
import sys

import commands

# Name, options, and whether a step asks the network twice, but the last.
SAMPLERS = [
    ("ddim", "--sampler ddim", False),
    ("ddim, quadratic", "--sampler ddim --spacing quadratic", False),
    ("ddim, η = 1", "--sampler ddim --eta 1", False),
    ("ddpm, large", "--sampler ddpm --variance large", False),
    ("ddpm, analytic", "--sampler ddpm --variance analytic", False),
    ("heun", "--sampler heun", True),
    ("dpm++2s", "--sampler dpm++2s", True),
    ("dpm++2m", "--sampler dpm++2m", False),
    ("dpm++3m", "--sampler dpm++3m", False),
    ("dpm++2m-sde", "--sampler dpm++2m-sde", False),
    ("unipc", "--sampler unipc", False),
    ("plms", "--sampler plms", False),
    ("sde", "--sampler sde", False),
    ("pc", "--sampler pc", True),
]


def main():
    folder, run, count, evaluations = sys.argv[1:] + ["5000", "5,10,25,50"][len(sys.argv) - 3:]
    evaluations = [int(number) for number in evaluations.split(",")]
    print("| sampler | " + " | ".join(f"{n} evaluations" for n in evaluations) + " | ms an evaluation |")
    print("|---|" + "---|" * (len(evaluations) + 1))
    for name, options, is_double in SAMPLERS:
        steps = [(n + 1) // 2 if is_double else n for n in evaluations]
        out = pathlib.Path(run) / "samplers" / name.replace(" ", "").replace(",", "-")
        found = commands.refined(
            folder, run, out,
            ["--count", count, "--steps", ",".join(map(str, steps)), *options.split()])
        time = 1000 * sum(r["seconds_per_image"] for r in found) / sum(r["evaluations"] for r in found)
        cells = [f"{r['scores']['frechet']:.3f}" for r in found]
        print(f"| {name} | " + " | ".join(cells) + f" | {time:.2f} |", flush=True)


main()
