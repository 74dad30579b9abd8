"""The tables of scripts/objectives: objectives.py FOLDER_OF_COMMANDS EPOCHS RUNS"""
import pathlib
import sys

import commands

TARGETS = ["noise", "original", "velocity", "score"]
LOSSES = ["noise", "original", "velocity", "min-snr"]
WIDTHS = [256, 1024]
WEIGHTS = ["noise", "original", "velocity", "min-snr", "truncated-snr", "p2", "edm", "vlb"]


def distance(folder, epochs, runs, width, target, loss):
    settings = {
        "data.set": "mnist", "diffusion.formulation": "none", "denoiser.kind": "mlp",
        "denoiser.width": width, "diffusion.target": target, "diffusion.loss": loss,
        "training.denoiser.epochs": epochs, "training.grids": 0,
    }
    config = pathlib.Path(runs) / "empty.yaml"
    config.write_text("data: {set: mnist}\n")
    run = commands.trained(
        folder, f"{target}-{loss}-{width}-{epochs}", runs, str(config), settings)
    rows = commands.refined(
        folder, run, run / "evaluation", ["--count", 5000, "--steps", 25, "--sampler", "ddim"])
    return rows[0]["scores"]["frechet"]


def with_reconstructions(folder, epochs, runs):
    """The weights again where the network sees what a VAE makes of the image, one VAE for all."""
    print(f"\nDefault width, {epochs} epochs, with x̂0\n\n| loss | 5 steps | 10 steps |\n|---|---|---|")
    first = f"seeing-{WEIGHTS[0]}-{epochs}"
    for loss in WEIGHTS:
        name = f"seeing-{loss}-{epochs}"
        config = (f"data: {{set: mnist}}\nprior: {{components: 200}}\ndiffusion: {{loss: {loss}}}\n"
                  f"training: {{denoiser: {{epochs: {epochs}}}, grids: 0}}\n")
        files = [] if name == first else ["vae.safetensors", "prior.safetensors", "latents.json"]
        run = commands.going_on(folder, name, runs, config, f"{runs}/{first}", files)
        rows = commands.refined(
            folder, run, run / "evaluation", ["--count", 5000, "--steps", "5,10"])
        print(f"| {loss} | " + " | ".join(f"{row['scores']['frechet']:.3f}" for row in rows) + " |",
              flush=True)


def main():
    folder, epochs, runs = sys.argv[1:]
    pathlib.Path(runs).mkdir(parents=True, exist_ok=True)
    for width in WIDTHS:
        print(f"\nWidth {width}, {epochs} epochs\n")
        print("| target | " + " | ".join(f"loss {name}" for name in LOSSES) + " |")
        print("|---|" + "---|" * len(LOSSES))
        for target in TARGETS:
            cells = [
                f"{distance(folder, epochs, runs, width, target, loss):.2f}" for loss in LOSSES
            ]
            print(f"| {target} | " + " | ".join(cells) + " |", flush=True)
    print(f"\nWidth {WIDTHS[0]}, {epochs} epochs, target original\n\n| loss | Fréchet |\n|---|---|")
    for loss in WEIGHTS:
        found = distance(folder, epochs, runs, WIDTHS[0], "original", loss)
        print(f"| {loss} | {found:.2f} |", flush=True)
    with_reconstructions(folder, epochs, runs)


main()
