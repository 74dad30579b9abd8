"""Takes the networks of small runs to PyTorch and back.

    round_trip.py FOLDER       with diffusevae-train and diffusevae-sample in it

Written back as they are, they must draw the same bits. Trained on a little by PyTorch, they must
draw what PyTorch says that they do, to 1e-5. Exits with 1 otherwise.
"""
import pathlib
import subprocess
import sys
import tempfile

import numpy
import torch
import weights

LIMIT = 1e-5
SMALL = ["vae.latent=4", "vae.hidden=[32]", "prior.components=3", "denoiser.width=32",
         "denoiser.blocks=2", "denoiser.channels=[16, 24]", "denoiser.features=16",
         "denoiser.embedding=16", "training.vae.steps=60", "training.denoiser.steps=60",
         "training.grids=0", "diffusion.clip=false"]
T = 1000


def train(network, inputs, target):
    """Some updates, so that every weight is another."""
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3)
    for _ in range(5):
        optimizer.zero_grad()
        (network(*inputs) - target).square().mean().backward()
        optimizer.step()


def main(binaries, folder, kind):
    def run(command, *options):
        subprocess.run([binaries / command, *options], check=True, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    def sample(name, *options):
        out = folder / f"{name}.npy"
        run("diffusevae-sample", "--run", folder / kind, "--out", out, *options)
        return torch.from_numpy(numpy.load(out)).flatten(1)

    settings = [word for s in [*SMALL, f"denoiser.kind={kind}"] for word in ("--set", s)]
    (folder / "small.yaml").write_text("data: {set: digits}\n")
    run("diffusevae-train", "--config", folder / "small.yaml", "--name", kind, "--runs", folder,
        *settings)
    files = [folder / kind / f"{part}.safetensors" for part in ("vae", "denoiser")]
    z, start = torch.randn(16, 4), torch.randn(16, 8, 8, 1)
    numpy.save(folder / "z.npy", z.numpy())
    numpy.save(folder / "x.npy", start.numpy())
    given = ["--z", folder / "z.npy", "--xT", folder / "x.npy", "--sampler", "ddim", "--steps", "1"]

    # As the files had checksums before and have none now, they are others; what they say is not.
    first, analytic = sample("first"), ["--sampler", "ddpm", "--variance", "analytic"]
    second = sample("second", *analytic)
    for file in files:
        old = file.read_bytes()
        weights.save(weights.load(file).state_dict(), file)
        assert file.read_bytes() != old
    same = torch.equal(first, sample("third")) and torch.equal(second, sample("fourth", *analytic))

    vae, denoiser = map(weights.load, files)
    last = torch.full((16,), T - 1)
    start = start.flatten(1)
    train(vae.decoder, [z], torch.rand(16, 64))
    train(denoiser, [start, start.flip(0), last], torch.rand(16, 64))
    for network, file in zip((vae, denoiser), files):
        weights.save(network.state_dict(), file)
    with torch.no_grad():
        image = vae.decode(z)
        # In one step DDIM ends at the estimate of x0.
        refined = (denoiser(start, 2 * image - 1, last) + 1) / 2
    errors = [
        (sample("image", "--z", folder / "z.npy", "--stage", "vae") - image).abs().max().item(),
        (sample("refined", *given) - refined.clamp(0, 1)).abs().max().item()]
    moved = (first - sample("fifth")).abs().max().item()
    print(f"{kind}: written back, the same bits: {same}; changed, images {moved:.2f} from the old "
          f"ones, {errors[0]:.1e} (VAE) and {errors[1]:.1e} (refined) from PyTorch's")
    return same and max(errors) <= LIMIT and moved > 0.01


torch.manual_seed(0)
with tempfile.TemporaryDirectory() as made:
    passed = [main(pathlib.Path(sys.argv[1]), pathlib.Path(made), kind) for kind in ("mlp", "unet")]
sys.exit(not all(passed))
