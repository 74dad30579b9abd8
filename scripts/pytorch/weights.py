"""A run's networks in PyTorch, and back: diffusevae-sample then draws by what PyTorch made of them.

    network = weights.load("runs/digits/denoiser.safetensors")    # then change it, and
    weights.save(network.state_dict(), "runs/digits/denoiser.safetensors")
    # Or by files of state_dicts, as torch.save writes them:
    weights.py load runs/digits/vae.safetensors vae.pt
    weights.py save runs/digits/vae.safetensors vae.pt
"""
import os
import sys

import networks
import torch
from safetensors import safe_open
from safetensors.torch import save_file


def read(path):
    """The tensors of a file, and its metadata but for the checksums, which are of its old bytes."""
    with safe_open(path, "pt") as file:
        notes = file.metadata()
        notes.pop("fnv1a_checksums", None)
        return {name: file.get_tensor(name) for name in file.keys()}, notes


def load(path):
    """The VAE, the denoiser, the consistency model or the diffusion prior that a file holds."""
    tensors, notes = read(path)
    if "encoder.0.weight" in tensors:
        return networks.VAE.of(tensors)
    height, width, _ = map(int, notes["image"].split("x"))
    kept = {name: t for name, t in tensors.items() if name[:8] != "latents."}
    return networks.denoiser(kept, height, width)


def save(state, path):
    """Puts a state_dict in place of the network in a file; what else the file says stays."""
    old, notes = read(path)
    own = {networks.torch_name(n): n for n in old if n != "y0_errors" and n[:8] != "latents."}
    if own.keys() != state.keys() or any(state[n].numel() != old[own[n]].numel() for n in own):
        raise ValueError(f"{path}: the state_dict is not of the network in this file")
    new = dict(old)
    for name, value in state.items():
        if value.dim() == 4:  # [outputs, input, ky, kx] -> [outputs, ky, kx, input]
            value = value.permute(0, 2, 3, 1)
        new[own[name]] = value.detach().float().reshape(old[own[name]].shape).contiguous()
    if any(not torch.equal(new[name], old[name]) for name in old):
        new.pop("y0_errors", None)  # They are of the old weights.
    save_file(new, f"{path}.tmp", notes)
    os.replace(f"{path}.tmp", path)


if __name__ == "__main__":
    if len(sys.argv) == 4 and sys.argv[1] == "load":
        torch.save(load(sys.argv[2]).state_dict(), sys.argv[3])
    elif len(sys.argv) == 4 and sys.argv[1] == "save":
        save(torch.load(sys.argv[3], map_location="cpu", weights_only=True), sys.argv[2])
    else:
        sys.exit(__doc__)
