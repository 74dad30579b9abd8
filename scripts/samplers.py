"""The table of scripts/samplers: samplers.py EVALUATE RUN [COUNT [RUNS]]"""
import json
import pathlib
import sys
import tempfile

import commands

EVALUATIONS = [5, 10, 25, 50]

# Name, options, and the steps that ask the network about so many times.
SAMPLERS = [
    ("ddim", "--sampler ddim", EVALUATIONS),
    ("ddim, quadratic", "--sampler ddim --spacing quadratic", EVALUATIONS),
    ("ddim, η = 1", "--sampler ddim --eta 1", EVALUATIONS),
    ("ddpm, large", "--sampler ddpm --variance large", EVALUATIONS),
    ("ddpm, analytic", "--sampler ddpm --variance analytic", EVALUATIONS),
    ("heun", "--sampler heun", [3, 5, 13, 25]),
    ("dpm++2s", "--sampler dpm++2s", [3, 5, 13, 25]),
    ("dpm++2m", "--sampler dpm++2m", EVALUATIONS),
    ("dpm++3m", "--sampler dpm++3m", EVALUATIONS),
    ("dpm++2m-sde", "--sampler dpm++2m-sde", EVALUATIONS),
    ("unipc", "--sampler unipc", EVALUATIONS),
    ("plms", "--sampler plms", EVALUATIONS),
    ("sde", "--sampler sde", EVALUATIONS),
    ("pc", "--sampler pc", [3, 5, 13, 25]),
]


def rows(evaluate, run, count, runs, options, steps):
    with tempfile.TemporaryDirectory() as folder:
        command = [evaluate, "--run", run, "--runs", runs, "--fit", "--stage", "refined",
                   "--count", count, "--steps", ",".join(map(str, steps)), "--out", folder]
        commands.run(command + options.split())
        report = json.loads((pathlib.Path(folder) / "evaluation.json").read_text())
    return [row for row in report["rows"] if "steps" in row]


def main():
    evaluate, run, count, runs = sys.argv[1:] + ["5000", "runs"][len(sys.argv) - 3:]
    print("| sampler | " + " | ".join(f"{n} evaluations" for n in EVALUATIONS) + " | ms an evaluation |")
    print("|---|" + "---|" * (len(EVALUATIONS) + 1))
    for name, options, steps in SAMPLERS:
        found = rows(evaluate, run, count, runs, options, steps)
        time = 1000 * sum(r["seconds_per_image"] for r in found) / sum(r["evaluations"] for r in found)
        cells = [f"{r['scores']['frechet']:.3f}" for r in found]
        print(f"| {name} | " + " | ".join(cells) + f" | {time:.2f} |", flush=True)


main()
