"""Networks with an encoder per modality, fused at every level for each sample's own subset."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from nnunet_hetero.network.fast_cpu import never_small_and_alone
from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.hetero_network import EncodedModality, HeteroNetwork, Level

Result = TypeVar("Result")


class FeatureEncoder(nn.Module):
    """Encoder of one modality: feature maps of every level.

    Args:
        backbone: From ``(n, 1, *spatial)`` to a list of feature maps, finest first.
    """

    def __init__(self, backbone: nn.Module):
        super().__init__()
        self.backbone = backbone
        never_small_and_alone(backbone)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode images of one modality, ``(n, 1, *spatial)``, to the feature maps of every level, finest first."""
        return [features if len(features) == len(x) else features[: len(x)] for features in self.backbone(x)]


class EncoderPerModality(HeteroNetwork):
    """A network whose levels are fused one by one; which way says `fuse_level`.

    Args:
        num_modalities: M, the number of input channels.
        channels: C of every fused level, finest first: what `fuse_level` is told.
        strides: Stride of every level.
    """

    def __init__(self, num_modalities: int, channels: Sequence[int], strides: Sequence[Sequence[int]]):
        super().__init__(num_modalities)
        self.channels = list(channels)
        self.strides = strides

    def fuse(self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int]) -> Sequence[Level]:
        """See `HeteroNetwork`."""
        encoded = list(encoded)
        levels = self.fused_shapes(batch_size, spatial)
        # What the finest makes is most of it, and worth making twice.
        finest = compute_again(self, self.fuse_level, encoded, 0, levels[0])
        return [finest, *(self.fuse_level(encoded, level, shape) for level, shape in enumerate(levels[1:], start=1))]

    def fused_shapes(self, batch_size: int, spatial: Sequence[int]) -> list[tuple[int, ...]]:
        """``(B, C, *spatial)`` of every fused level, finest first; arguments as for `fuse`."""
        shapes = level_shapes(spatial, self.strides)
        return [(batch_size, channels, *shape) for channels, shape in zip(self.channels, shapes, strict=True)]

    @abstractmethod
    def fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Level:
        """Fuse the modalities at one level.

        Args:
            encoded: As in `fuse`.
            level: Its number, 0 is the finest.
            shape: ``(B, C, *spatial)`` there.
        """


def restricted(encoded: Sequence[EncodedModality], available: Tensor, finest: int = 0) -> list[EncodedModality]:
    """What of the encoded modalities each sample may use.

    Args:
        encoded: From `HeteroNetwork.encode`.
        available: ``(B, M)`` bool on the host, a subset for each sample.
        finest: The finest level that will be used; finer ones stay as they are.
    """
    device = encoded[0].features[0].device if encoded else "cpu"
    usable_of = available.tolist()
    parts = []
    for channel, features, samples in encoded:
        usable = [place for place, number in enumerate(samples.numbers) if usable_of[number][channel]]
        if len(usable) == len(samples):
            parts.append(EncodedModality(channel, features, samples))
        elif usable:
            rows = Rows.of(usable, device)
            numbers = Rows.of([samples.numbers[place] for place in usable], device)
            picked = [rows.pick(level) for level in features[finest:]]
            parts.append(EncodedModality(channel, [*features[:finest], *picked], numbers))
    return parts


def level_shapes(spatial: Sequence[int], strides: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
    """Spatial shape of every level, finest first; a strided convolution with "same" padding rounds up."""
    shapes, shape = [], list(spatial)
    for stride in strides:
        shape = [-(-size // step) for size, step in zip(shape, stride, strict=True)]
        shapes.append(tuple(shape))
    return shapes


def compute_again(network: nn.Module, function: Callable[..., Result], *arguments: object) -> Result:
    """Call a function of little work and many intermediate results; training makes them twice, to keep none."""
    if network.training and torch.is_grad_enabled():
        return checkpoint(function, *arguments, use_reentrant=False)
    return function(*arguments)
