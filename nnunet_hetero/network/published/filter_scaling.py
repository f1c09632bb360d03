"""ModDrop++'s network: nnU-Net's own, whose first filters are scaled by what a sample has.

Liu et al., "ModDrop++: A Dynamic Filter Network with Intra-subject Co-training for Multiple Sclerosis Lesion
Segmentation with Missing Modalities", MICCAI 2022, figure 1 (left): a layer makes of the availability code a factor for
every filter of the first convolution and every bias.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from nnunet_hetero.modalities import Subset
from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.hetero_network import EncodedModality, Level


class Seen(NamedTuple):
    """What the network makes of images seen through one subset.

    Attributes:
        segmentation: Logits ``(B, K, *spatial)``, or a list, finest first, with deep supervision.
        features: What is compared between subsets, ``(B, C, *spatial)``.
    """

    segmentation: Tensor | list[Tensor]
    features: Tensor


class ScaledConvolution(nn.Module):
    """A convolution whose filters depend on each sample's availability code; it starts as the plain convolution.

    Args:
        convolution: With M input channels.
    """

    def __init__(self, convolution: _ConvNd):
        super().__init__()
        self.convolution = convolution
        outputs, inputs = convolution.out_channels, convolution.in_channels
        self.factors = nn.Linear(inputs, outputs * inputs + outputs)
        nn.init.zeros_(self.factors.weight)
        nn.init.ones_(self.factors.bias)

    def forward(self, images: Tensor, code: Tensor) -> Tensor:
        """Images ``(B, M, *spatial)`` and code ``(B, M)``, 1 for what a sample has, to ``(B, C, *spatial)``."""
        plain, outputs = self.convolution, self.convolution.out_channels
        factors = self.factors(code)
        filters = factors[:, :-outputs].view(len(code), outputs, plain.in_channels, *[1] * (plain.weight.ndim - 2))
        # One sample at a time: each has filters of its own.
        found = [
            plain._conv_forward(image[None], plain.weight * scale, None)
            for image, scale in zip(images, filters, strict=True)
        ]
        result = torch.cat(found)
        if plain.bias is None:
            return result
        return result + (plain.bias * factors[:, -outputs:]).view(*result.shape[:2], *[1] * (result.ndim - 2))


class FilterScaledUNet(EarlyFusionUNet):
    """nnU-Net's network on channels of zeros, with a `ScaledConvolution` in front.

    Args:
        unet: The plans' network, with a channel per modality.
        num_modalities: M, the number of input channels.
        subset: None; the network is for any subset.
    """

    def __init__(self, unet: nn.Module, num_modalities: int, subset: Subset | None = None):
        super().__init__(unet, num_modalities, subset)
        self.first = ScaledConvolution(_take_first_convolution(unet))

    def fuse(self, encoded: Iterable[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Level]:
        """One level: what the scaled convolution makes of the images, ``(B, C, *spatial)``."""
        encoded = list(encoded)
        images = cast(Tensor, super().fuse(encoded, batch_size, spatial)[0])
        code = images.new_zeros((batch_size, self.num_modalities))
        for channel, _, samples in encoded:
            code[samples.index, channel] = 1
        return [self.first(images, code)]

    def forward(self, x: Tensor, available: Tensor | None = None) -> Any:
        """Segment; with several subsets, ``(N, B, M)``, a list of N `Seen`."""
        if available is None or available.ndim == 2:
            return super().forward(x, available)
        return [self._seen(x, subset) for subset in available]

    def _seen(self, x: Tensor, available: Tensor) -> Seen:
        levels, _ = self.fused(x, available)
        features = cast(Tensor, levels[0])
        return Seen(self.decode([features]), features)


def _take_first_convolution(unet: nn.Module) -> _ConvNd:
    """The first convolution of nnU-Net's network, in whose place nothing is left."""
    for block in unet.modules():
        convolution = getattr(block, "conv", None)
        layers = getattr(block, "all_modules", None)
        if isinstance(convolution, _ConvNd) and isinstance(layers, nn.Sequential) and layers[0] is convolution:
            block.conv = layers[0] = nn.Identity()
            return convolution
    raise TypeError(f"{type(unet).__name__} has no block of nnU-Net's that begins with a convolution.")
