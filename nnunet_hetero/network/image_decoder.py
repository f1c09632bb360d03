"""The image decoder: from latents to the images of all modalities."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from nnunet_hetero.network.latent_decoder import LatentDecoder


class SubsetOutput(nn.Module):
    """A convolution with a kernel of one voxel, whose weights depend on the subset that the latents were fused from.

    The weights are a sum, of a part for all subsets and one for each available modality; before the first step only the
    first is not 0. The more modalities are available, the less noise is in the latents and the more of an image they
    explain; with the same weights for all subsets, images of small ones have too much contrast and of large ones too
    little.

    Args:
        channels: C, of the features.
        num_modalities: M, the number of images.
    """

    def __init__(self, channels: int, num_modalities: int):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1 + num_modalities, num_modalities, channels))
        self.bias = nn.Parameter(torch.zeros(1 + num_modalities, num_modalities))
        nn.init.kaiming_normal_(self.weight.data[0], a=1e-2)  # as nnU-Net's convolutions

    def forward(self, features: Tensor, available: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Images ``(B, M, *spatial)`` from features ``(B, C, *spatial)`` and ``(B, M)`` bool; only some on demand."""
        available = available.to(features.device, self.weight.dtype, non_blocking=True)
        parts = nn.functional.pad(available, (1, 0), value=1.0)
        weight = torch.einsum("bp,pmc->bmc", parts, self.weight)
        bias = parts @ self.bias
        if modalities is not None:
            weight, bias = weight[:, list(modalities)], bias[:, list(modalities)]
        images = torch.baddbmm(bias[..., None], weight, features.flatten(2))
        return images.unflatten(2, features.shape[2:])


class ImageDecoder(LatentDecoder):
    """nnU-Net's decoder on latents with one convolution per level and an output that knows the subset.

    Args:
        plan: From `decoder_plan`.
        latent_channels: Channels of the latent of every level, finest first; as many come up from the level below.
        widths: Features of this decoder at every level, see `LatentDecoder`.
        num_modalities: M.
    """

    def __init__(
        self, plan: SimpleNamespace, latent_channels: Sequence[int], widths: Sequence[int], num_modalities: int
    ):
        super().__init__(
            plan,
            latent_channels,
            widths,
            num_modalities,
            n_conv_per_stage=1,
            deep_supervision=False,
            channels_from_below=latent_channels,
        )
        # nnU-Net's output layers, one for every level, make way for `output`.
        self.seg_layers = nn.ModuleList([nn.Identity()])
        self.output = SubsetOutput(widths[0], num_modalities)

    def forward(self, latents: Sequence[Tensor], available: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Images ``(B, M, *spatial)`` from the latents of all levels, finest first.

        Args:
            latents: z of every level.
            available: ``(B, M)`` bool, what they were fused from.
            modalities: Which images; default those of all M.
        """
        return self.output(super().forward(latents), available, modalities)
