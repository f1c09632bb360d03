"""How prediction takes a network apart: what the modalities give each, what a subset makes of them, what is decoded.

Several subsets of one case then share the first step. There are two kinds of networks:

* with an encoder per modality: they have ``encode(x, available)``, which gives a list of parts with ``.channel``;
  ``fuse(parts, batch_size, spatial)``, one entry per level, finest first: a `Gaussian`, or a plain tensor where the
  network has no distribution; and ``decoder(levels)``, the logits. ``stochastic`` says whether they have draws;
* all others: ``forward(x, available)`` is one step, run anew for every subset.

Networks that complete images have an ``image_decoder``, and ``complete(levels, available, modalities)``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.fusion import Gaussian
from nnunet_hetero.network.per_modality import Level


class SeparateEncoders:
    """A network with an encoder per modality.

    Args:
        network: In evaluation mode.
    """

    def __init__(self, network: nn.Module):
        self.network = network

    def encode(self, x: Tensor, available: Tensor) -> list:
        """Everything that does not depend on the subset.

        Args:
            x: ``(B, M, *spatial)``.
            available: What any of the subsets needs, ``(M,)`` bool.
        """
        return self.network.encode(x, available.expand(len(x), -1))

    def fuse(self, encoded: list, subset: Tensor, x: Tensor) -> Sequence[Level]:
        """What is decoded, from the modalities of a subset, ``(M,)`` bool."""
        parts = [part for part in encoded if subset[part.channel]]
        return self.network.fuse(parts, len(x), x.shape[2:])

    def decode(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits ``(B, K, *spatial)``."""
        return self.network.decoder(levels)


class WholeNetwork:
    """A network that mixes the modalities at once, such as a U-Net with channels of zeros; see `SeparateEncoders`."""

    def __init__(self, network: nn.Module):
        self.network = network

    def encode(self, x: Tensor, available: Tensor) -> Tensor:
        """Nothing can be done before the subset is known."""
        return x

    def fuse(self, encoded: Tensor, subset: Tensor, x: Tensor) -> Sequence[Tensor]:
        """The images of the subset, and which they are."""
        subset = subset.to(x.device).expand(len(x), -1)
        return encoded * subset.reshape(*subset.shape, *[1] * (x.ndim - 2)), subset

    def decode(self, levels: Sequence[Tensor]) -> Tensor:
        """Logits ``(B, K, *spatial)``."""
        return self.network(*levels)


def parts_of(network: nn.Module) -> SeparateEncoders | WholeNetwork:
    """The network as prediction uses it."""
    separate = hasattr(network, "encode") and hasattr(network, "fuse")
    return SeparateEncoders(network) if separate else WholeNetwork(network)


def is_stochastic(network: nn.Module) -> bool:
    """Whether a network has latents to draw; all draws of another one would be the same."""
    return getattr(network, "stochastic", False)


def completes_images(network: nn.Module) -> bool:
    """Whether a network has an image decoder."""
    return getattr(network, "image_decoder", None) is not None


def required_modalities(network: nn.Module) -> Subset | None:
    """The only modalities that a network uses, all of which it needs; None if it takes any subset."""
    return getattr(network, "required", None)


def latents(levels: Sequence[Level], row: int, generator: torch.Generator | None) -> list[Tensor]:
    """z of every level for one sample of a batch, ``(1, C, *spatial)``; without a generator the posterior's mean."""
    result = []
    for level in levels:
        if isinstance(level, Tensor):
            result.append(level[row : row + 1])
        else:
            one = Gaussian(level.mean[row : row + 1], level.log_variance[row : row + 1])
            result.append(one.mean if generator is None else one.sample(generator))
    return result
