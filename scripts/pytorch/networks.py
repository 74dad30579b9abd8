"""The networks of this package in PyTorch, made from their weights alone.

    weights = safetensors.torch.load_file("runs/digits/vae.safetensors")
    vae = networks.VAE.of(weights)

Modules have the names that their parameters have in the files. Images are
[batch, height·width·channels] (NHWC). See docs/weights.md for ranges, layouts and the order of
inputs.
"""
import math

import torch
import torch.nn.functional as F
from torch import nn

GROUPS = 8


class Loadable(nn.Module):
    """A module whose constructor takes a function that gives the shape of a named tensor."""

    @classmethod
    def of(cls, weights, *sizes):
        def shape(name):
            return tuple(weights[name].shape) if name in weights else None

        module = cls(shape, *sizes)
        weights = {torch_name(name): tensor for name, tensor in weights.items()}
        own = module.state_dict()
        module.load_state_dict(
            {n: as_torch(w, own[n]) if n in own else w for n, w in weights.items()})
        return module


def torch_name(name):
    """PyTorch calls the gain of a norm its weight."""
    return name.replace(".gain", ".weight")


def as_torch(tensor, parameter):
    """A tensor of a file in the layout of the PyTorch parameter of the same name.

    Files drop the first dimension of a tensor with one row, hence the reshaping.
    """
    if parameter.dim() == 4:  # [outputs, (ky, kx, input)] -> [outputs, input, ky, kx]
        outputs, inputs, height, width = parameter.shape
        return tensor.reshape(outputs, height, width, inputs).permute(0, 3, 1, 2)
    return tensor.reshape(parameter.shape)


class Stack(nn.ModuleList):
    """Linear layers with SiLU between them."""

    def __init__(self, shape, name):
        super().__init__()
        while size := shape(f"{name}.{len(self)}.weight"):
            outputs = shape(f"{name}.{len(self)}.bias")[0]
            self.append(nn.Linear(math.prod(size) // outputs, outputs))
        self.depth = len(self)
        self.width = outputs

    def forward(self, x):
        for i in range(self.depth):
            x = self[i](F.silu(x) if i else x)
        return x


class Level(nn.Module):
    """Between a level of latents, z, and the next one above it, z'."""

    def __init__(self, shape, name):
        super().__init__()
        self.encoder = Stack(shape, f"{name}.encoder")
        self.decoder = Stack(shape, f"{name}.decoder")

    def posterior(self, z):
        """q(z'|z): mean and ln variance of z'."""
        return self.encoder(z).chunk(2, -1)

    def prior(self, z):
        """p(z|z') for z' given: mean and ln variance of z."""
        return self.decoder(z).chunk(2, -1)


def beside(x, y):
    return x if y is None else torch.cat([x, y], -1)


class VAE(Loadable):
    """Pixels are in [0, 1]. With `log_variance` they are Gaussian, else Bernoulli.

    A VAE that is told the label takes it, one-hot, beside x and beside z.
    """

    def __init__(self, shape):
        super().__init__()
        self.encoder = Stack(shape, "encoder")
        self.decoder = Stack(shape, "decoder")
        if shape("log_variance"):
            self.log_variance = nn.Parameter(torch.zeros(()))
        self.upper = nn.ModuleList()
        while shape(f"upper.{len(self.upper)}.encoder.0.weight"):
            self.upper.append(Level(shape, f"upper.{len(self.upper)}"))

    def posterior(self, pixels, label=None):
        """q(z|x): mean and ln variance of z."""
        return self.encoder(beside(pixels, label)).chunk(2, -1)

    def decode(self, z, label=None):
        """The mean image."""
        output = self.decoder(beside(z, label))
        return output if hasattr(self, "log_variance") else output.sigmoid()


class Time(Stack):
    """Embeds t in 0…T-1, and what else is seen with it."""

    def __init__(self, shape, name):
        super().__init__(shape, name)
        if size := shape(f"{name}.condition.weight"):
            outputs = shape(f"{name}.condition.bias")[0]
            self.condition = nn.Linear(math.prod(size) // outputs, outputs)

    def forward(self, t, seen=None):
        half = self[0].in_features // 2
        angles = t[:, None] * 10_000 ** (-torch.arange(half, dtype=torch.float64) / half)
        features = torch.cat([angles.cos(), angles.sin()], -1)
        e = super().forward(features.to(self[0].weight))
        return F.silu(e if seen is None else e + self.condition(seen))


class ModulatedBlock(nn.Module):
    def __init__(self, width, embedding):
        super().__init__()
        self.modulation = nn.Linear(embedding, 3 * width)
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.inner = nn.Linear(width, width)
        self.outer = nn.Linear(width, width)

    def forward(self, h, e):
        shift, scale, gate = self.modulation(e).chunk(3, -1)
        return h + gate * self.outer(F.silu(self.inner(self.norm(h) * (1 + scale) + shift)))


class MLPDenoiser(Loadable):
    def __init__(self, shape):
        super().__init__()
        self.time = Time(shape, "time")
        (width,), (pixels,) = shape("input.bias"), shape("output.bias")
        embedding = self.time.width
        self.input = nn.Linear(math.prod(shape("input.weight")) // width, width)
        self.blocks = nn.ModuleList()
        while shape(f"blocks.{len(self.blocks)}.inner.bias"):
            self.blocks.append(ModulatedBlock(width, embedding))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.output = nn.Linear(width, pixels)

    def forward(self, x, condition, t, seen=None):
        e = self.time(t, seen)
        h = self.input(beside(x, condition))
        for block in self.blocks:
            h = block(h, e)
        return self.output(self.norm(h))


class ConvolutionalBlock(nn.Module):
    def __init__(self, inputs, outputs, embedding):
        super().__init__()
        self.norm1 = nn.GroupNorm(GROUPS, inputs)
        self.convolution1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.modulation = nn.Linear(embedding, 2 * outputs)
        self.norm2 = nn.GroupNorm(GROUPS, outputs)
        self.convolution2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, h, e):
        scale, shift = self.modulation(e)[:, :, None, None].chunk(2, 1)
        u = self.convolution1(F.silu(self.norm1(h)))
        u = F.silu(self.norm2(u) * (1 + scale) + shift)
        return self.shortcut(h) + self.convolution2(u)


class UNetDenoiser(Loadable):
    def __init__(self, shape, height, width):
        super().__init__()
        self.size = (height, width)
        self.time = Time(shape, "time")
        (first,), (image,) = shape("input.bias"), shape("output.bias")
        channels = []
        while bias := shape(f"encoder.{len(channels)}.convolution2.bias"):
            channels.append(bias[0])
        above = [first] + channels[:-1]

        def block(inputs, outputs):
            return ConvolutionalBlock(inputs, outputs, self.time.width)

        inputs = math.prod(shape("input.weight")) // (9 * first)
        self.input = nn.Conv2d(inputs, first, 3, padding=1)
        self.encoder = nn.ModuleList(block(a, c) for a, c in zip(above, channels))
        self.down = nn.ModuleList(nn.Conv2d(c, c, 3, 2, 1) for c in channels[:-1])
        self.middle = block(channels[-1], channels[-1])
        self.decoder = nn.ModuleList(block(2 * c, a) for a, c in zip(above, channels))
        self.norm = nn.GroupNorm(GROUPS, first)
        self.output = nn.Conv2d(first, image, 3, padding=1)

    def maps(self, x):
        return x.reshape(len(x), *self.size, -1).permute(0, 3, 1, 2)

    def forward(self, x, condition, t, seen=None):
        e = self.time(t, seen)
        h = self.maps(x)
        channels = h.shape[1]
        h = self.input(h if condition is None else torch.cat([h, self.maps(condition)], 1))
        skips = []
        for level, block in enumerate(self.encoder):
            h = block(self.down[level - 1](h) if level else h, e)
            skips.append(h)
        h = self.middle(h, e)
        for level, block in reversed(list(enumerate(self.decoder))):
            h = block(torch.cat([h, skips[level]], 1), e)
            if level:
                h = F.interpolate(h, scale_factor=2, mode="nearest")
        h = self.output(F.silu(self.norm(h)))
        # The target of all pixels, then what is said of their variance, if anything is.
        return torch.cat([part.permute(0, 2, 3, 1).flatten(1) for part in h.split(channels, 1)], -1)


def denoiser(weights, height, width):
    """The denoiser that these weights belong to."""
    weights = {name: tensor for name, tensor in weights.items() if name != "y0_errors"}
    if "middle.norm1.gain" in weights:
        return UNetDenoiser.of(weights, height, width)
    return MLPDenoiser.of(weights)
