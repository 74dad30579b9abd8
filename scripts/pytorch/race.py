"""Times what diffusevae-benchmark times, in PyTorch: the same networks from the same weights.

    race.py FOLDER mlp     with what `diffusevae-benchmark --net mlp --export FOLDER` wrote

A step is the frozen VAE's reconstruction (for a denoiser), forward, backward, clipping at norm 1,
AdamW and the average of the weights. Prints a line of JSON.
"""
import argparse
import copy
import json
import pathlib
import resource
import time

import networks
import torch
import torch.nn.functional as F
from safetensors.torch import load_file

parser = argparse.ArgumentParser()
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("net", choices=["vae", "mlp", "unet"])
parser.add_argument("--mode", default="eager", choices=["eager", "compile"])
parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
parser.add_argument("--batch", type=int, default=256)
parser.add_argument("--updates", type=int, default=20)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--steps", type=int, default=10, help="of a sampler")
options = parser.parse_args()
torch.set_num_threads(options.threads)
torch.manual_seed(0)

SIZE, T = 28, 1000
vae = networks.VAE.of(load_file(options.folder / "vae.safetensors"))
if options.net == "vae":
    network = vae
else:
    network = networks.denoiser(
        load_file(options.folder / f"{options.net}.safetensors"), SIZE, SIZE)
if options.net == "unet":
    network = network.to(memory_format=torch.channels_last)
average = copy.deepcopy(network)
optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=0, fused=True)
f = torch.cos((torch.arange(T + 1, dtype=torch.float64) / T + 0.008) / 1.008 * torch.pi / 2)
alpha_bar = torch.cumprod(1 - (1 - (f[1:] / f[:-1]) ** 2).clamp(max=0.999), 0).float()


def autocast():
    return torch.autocast("cpu", torch.bfloat16, enabled=options.precision == "bfloat16")


def negative_elbo(x):
    mean, log_variance = network.posterior(x)
    output = network.decoder(mean + torch.exp(log_variance / 2) * torch.randn_like(mean)).float()
    reconstruction = F.binary_cross_entropy_with_logits(output, x, reduction="sum")
    divergence = 0.5 * (mean * mean + log_variance.exp() - log_variance - 1).sum()
    return (reconstruction + divergence) / len(x)


def squared_error(x):
    with torch.no_grad(), autocast():
        mean, log_variance = vae.posterior(x)
        z = mean + torch.exp(log_variance / 2) * torch.randn_like(mean)
        first = 2 * vae.decode(z).float() - 1
    y0, t = 2 * x - 1, torch.randint(T, (len(x),))
    alpha, sigma = alpha_bar[t].sqrt()[:, None], (1 - alpha_bar[t]).sqrt()[:, None]
    with autocast():
        output = forward(alpha * y0 + sigma * torch.randn_like(y0), first, t)
    return (((output.float() - y0) / sigma) ** 2).mean()


forward, loss = network, negative_elbo if options.net == "vae" else squared_error
if options.mode == "compile":
    forward = torch.compile(network)
    if options.net == "vae":
        loss = torch.compile(negative_elbo)


def step(x):
    if options.net == "vae":
        with autocast():
            value = loss(x)
    else:
        value = loss(x)
    optimizer.zero_grad()
    value.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    with torch.no_grad():
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 0.001)


def milliseconds(body):
    start = time.perf_counter()
    body()
    return 1e3 * (time.perf_counter() - start)


def sampling_rate():
    """Images times steps in a second; only the network, as a sampler calls it."""
    y, first = torch.randn(options.batch, SIZE * SIZE), torch.randn(options.batch, SIZE * SIZE)
    t = torch.full((options.batch,), T // 2)

    def sample():
        for _ in range(options.steps):
            forward(y, first, t)

    with torch.inference_mode(), autocast():
        forward(y, first, t)
        times = sorted(milliseconds(sample) for _ in range(3))
    return 1e3 * options.steps * options.batch / times[1]


x = torch.rand(options.batch, SIZE * SIZE)
for _ in range(3):
    step(x)
times = sorted(milliseconds(lambda: step(x)) for _ in range(options.updates))
peak = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps({
    "net": options.net, "mode": options.mode, "precision": options.precision,
    "version": torch.__version__, "milliseconds": times, "peak_bytes": peak,
    "rate": None if options.net == "vae" else sampling_rate(),
}))
