"""Compares what the Swift networks computed, in single precision, with PyTorch in double precision.

    compare.py FOLDER      files that scripts/compare-with-pytorch had written

Prints the largest errors, relative to the largest magnitude of the tensor, and exits with 1 if one
is above 1e-4. A derivative that PyTorch finds to be zero, up to its rounding, is measured by the
largest of the network: a bias before a norm whose groups are single channels has such a one.
"""
import math
import pathlib
import sys

import networks
import torch
from safetensors import safe_open
from torch.distributions import Bernoulli, Normal, kl_divergence

LIMIT = 1e-4


def gaussian(parameters):
    mean, log_variance = parameters
    return Normal(mean, torch.exp(log_variance / 2))


def vae_results(vae, inputs):
    label = inputs.get("label")
    mean, log_variance = vae.posterior(inputs["pixels"], label)
    draws = len(inputs["noise"]) // len(mean)
    pixels = inputs["pixels"].repeat_interleave(draws, 0)
    posteriors = [gaussian([t.repeat_interleave(draws, 0) for t in (mean, log_variance)])]
    latents = []
    for level in [*vae.upper, None]:
        q = posteriors[-1]
        done = sum(z.shape[1] for z in latents)
        latents.append(q.loc + q.scale * inputs["noise"][:, done:done + q.loc.shape[1]])
        if level is not None:
            posteriors.append(gaussian(level.posterior(latents[-1])))
    priors = [gaussian(level.prior(z)) for level, z in zip(vae.upper, latents[1:])]
    priors.append(Normal(torch.zeros_like(latents[-1]), 1.0))
    label = label.repeat_interleave(draws, 0) if label is not None else None
    output = vae.decoder(networks.beside(latents[0], label))
    if hasattr(vae, "log_variance"):
        likelihood = Normal(output, torch.exp(vae.log_variance / 2)).log_prob(pixels).sum(-1)
    else:
        # Pixels between 0 and 1, too: the cross entropy.
        likelihood = Bernoulli(logits=output, validate_args=False).log_prob(pixels).sum(-1)
    ratios = [(q.log_prob(z) - p.log_prob(z)).sum(-1)
              for q, p, z in zip(posteriors, priors, latents)]
    if inputs["weighted"].item():
        weights = (likelihood - sum(ratios)).reshape(-1, draws)
        loss = -(weights.logsumexp(-1) - math.log(draws)).mean()
    else:
        # The highest level's divergence as its mean over z.
        ratios[-1] = kl_divergence(posteriors[-1], priors[-1]).sum(-1)
        loss = (-likelihood + inputs["beta"].squeeze() * sum(ratios)).mean()
    image = vae.decode(latents[0], label)
    return {"mean": mean, "log_variance": log_variance, "image": image, "loss": loss}


def denoiser_results(denoiser, inputs):
    output = denoiser(
        inputs["x"], inputs.get("condition"), inputs["timesteps"], inputs.get("seen"))
    errors = (output - inputs["target"]).square().sum(-1)
    return {"output": output, "loss": (inputs["weights"] * errors).sum()}


def error(found, expected, zero=0.0, scale=0.0):
    """Relative to `scale`, if `expected` is no larger than `zero`. What is not finite is infinite."""
    largest = expected.abs().max().item()
    worst = (found - expected).abs().max().item() / (largest if largest > zero else scale)
    return worst if math.isfinite(worst) else math.inf


def compare(path):
    groups = {"parameter": {}, "gradient": {}, "input": {}, "result": {}}
    with safe_open(path, "pt") as file:
        height, width, _ = map(int, file.metadata()["image"].split("x"))
        for key in file.keys():
            group, name = key.split("/")
            name = name if group == "parameter" else networks.torch_name(name)
            groups[group][name] = file.get_tensor(key).double()
    weights, inputs = groups["parameter"], groups["input"]
    if "encoder.0.weight" in weights:
        network = networks.VAE.of(weights)
        results = vae_results(network, inputs)
    else:
        network = networks.denoiser(weights, height, width)
        results = denoiser_results(network, inputs)
    if set(results) != set(groups["result"]):
        sys.exit(f"{path.name}: results are {sorted(groups['result'])}, not {sorted(results)}")
    results["loss"].backward()

    errors = {n: error(groups["result"][n].reshape(r.shape), r) for n, r in results.items()}
    parameters = dict(network.named_parameters())
    largest = {name: p.grad.abs().max().item() for name, p in parameters.items()}
    scale = max(largest.values())
    zero = 1e-12 * scale
    gradients = {
        name: error(networks.as_torch(groups["gradient"][name], p), p.grad, zero, scale)
        for name, p in parameters.items()
    }
    worst = max(gradients, key=gradients.get)
    text = ", ".join(f"{name} {value:.1e}" for name, value in errors.items())
    zeros = sum(value <= zero for value in largest.values())
    count = f"{len(gradients)} gradients" + (f", {zeros} of them zero," if zeros else "")
    print(f"{path.stem}: {text}; {count} {gradients[worst]:.1e} ({worst})")
    return max(*errors.values(), gradients[worst])


def main():
    torch.set_default_dtype(torch.float64)
    paths = sorted(pathlib.Path(sys.argv[1]).glob("*.safetensors"))
    if not paths:
        sys.exit("there is nothing to compare: the Swift test wrote no network")
    worst = max(compare(path) for path in paths)
    print(f"largest relative error {worst:.1e}, {LIMIT:.0e} allowed")
    sys.exit(worst > LIMIT)


main()
