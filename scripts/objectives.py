"""The tables of scripts/objectives: objectives.py FOLDER_OF_COMMANDS EPOCHS"""
import json
import pathlib
import sys
import tempfile

import commands

TARGETS = ["noise", "original", "velocity", "score"]
LOSSES = ["noise", "original", "velocity", "min-snr"]
WIDTHS = [256, 1024]


def distance(folder, epochs, runs, width, target, loss):
    settings = {
        "data.set": "mnist", "diffusion.formulation": "none", "denoiser.kind": "mlp",
        "denoiser.width": width, "diffusion.target": target, "diffusion.loss": loss,
        "training.denoiser.epochs": epochs, "training.grids": 0,
    }
    options = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
    config = pathlib.Path(runs) / "empty.yaml"
    config.write_text("data: {set: mnist}\n")
    run = commands.run(
        [f"{folder}/diffusevae-train", "--config", str(config), "--runs", runs, *options])
    commands.run(
        [f"{folder}/diffusevae-evaluate", "--run", run, "--fit", "--stage", "refined",
         "--count", "5000", "--steps", "25"])
    report = json.loads((pathlib.Path(run) / "evaluation/evaluation.json").read_text())
    return next(r["scores"]["frechet"] for r in report["rows"] if "steps" in r)


def main():
    folder, epochs = sys.argv[1:]
    with tempfile.TemporaryDirectory() as runs:
        for width in WIDTHS:
            print(f"\nWidth {width}, {epochs} epochs\n")
            print("| target | " + " | ".join(f"loss {name}" for name in LOSSES) + " |")
            print("|---|" + "---|" * len(LOSSES))
            for target in TARGETS:
                cells = [
                    f"{distance(folder, epochs, runs, width, target, loss):.2f}"
                    for loss in LOSSES
                ]
                print(f"| {target} | " + " | ".join(cells) + " |", flush=True)


main()
