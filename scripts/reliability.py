"""What scripts/reliability does: reliability.py DIFFUSEVAE_TRAIN KILLS"""
import hashlib
import pathlib
import random
import re
import subprocess
import sys
import tempfile

CONFIG = """vae: {hidden: [256], latent: 8}
denoiser: {width: 192, blocks: 2}
diffusion: {steps: 50}
sampling: {steps: 5}
prior: {components: 3}
training:
  checkpoint_steps: 1
  grids: 0
  vae: {steps: 150, batch: 50}
  denoiser: {steps: 150, batch: 50}
"""
WEIGHTS = ["vae", "prior", "denoiser"]


def digests(run):
    return [hashlib.sha256((run / f"{name}.safetensors").read_bytes()).hexdigest()
            for name in WEIGHTS]


def main():
    train, kills = sys.argv[1], int(sys.argv[2])
    chance = random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        place = pathlib.Path(folder)
        (place / "a.yaml").write_text(CONFIG)

        def command(name, *more):
            return [train, "--config", str(place / "a.yaml"), "--runs", str(place), "--name", name,
                    "--resume", "auto", *more]

        subprocess.run(command("whole"), check=True, capture_output=True)
        expected = digests(place / "whole")
        done = inside = damaged = lost = runs = wrong = number = 0
        known = ("vae", 0)  # The last checkpoint that a training has gone on from.
        while done < kills:
            run = place / f"run-{number}"
            process = subprocess.Popen(command(run.name), stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, text=True)
            try:
                errors = process.communicate(timeout=chance.uniform(0.1, 0.7))[1]
            except subprocess.TimeoutExpired:
                process.kill()
                errors = process.communicate()[1]
                done += 1
                inside += any((run / "state").glob(".*.tmp")) or any(run.glob(".*.tmp"))
            damaged += "going on from the checkpoint before it" in errors
            found = re.search(r"(stage one|stage two): going on from step (\d+)", errors)
            if found:
                at = ({"stage one": "vae", "stage two": "denoiser"}[found[1]], int(found[2]))
                order = [WEIGHTS.index(stage) for stage, _ in (known, at)]
                lost += (order[1], at[1]) < (order[0], known[1])
                known = at
            elif process.returncode not in (0, -9):
                sys.exit(f"after {done} kills: {errors}")
            if process.returncode == 0:
                runs += 1
                wrong += digests(run) != expected
                number, known = number + 1, ("vae", 0)
        print("| | |\n|---|---|")
        print(f"| kills at random moments, saving after every update | {done} |")
        print(f"| of them while a file was being written | {inside} |")
        print(f"| checkpoints that could not be read | {damaged} |")
        print(f"| trainings that went on from an earlier step than one before | {lost} |")
        print(f"| runs that came to their end, killed on the way | {runs} |")
        print(f"| of them with other bits than a run that was never killed | {wrong} |")
        if damaged or lost or wrong:
            sys.exit(1)


if __name__ == "__main__":
    main()
