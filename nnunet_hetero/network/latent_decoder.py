"""nnU-Net's decoder on latents, or on whatever modalities are fused to, where a U-Net has its encoder's features."""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import torch
from dynamic_network_architectures.building_blocks.simple_conv_blocks import StackedConvBlocks
from dynamic_network_architectures.building_blocks.unet_decoder import UNetDecoder
from torch import Tensor, nn

from nnunet_hetero.network.fast_cpu import never_small_and_alone
from nnunet_hetero.network.per_modality import level_shapes


class LatentDecoder(UNetDecoder):
    """nnU-Net's decoder on latents: at every level they stand where a U-Net has the features of its encoder.

    Args:
        plan: From `decoder_plan`.
        latent_channels: Channels of the latent of every level, finest first.
        widths: Features of this decoder at every level; the last one, at the deepest level, is not used.
        num_outputs: Channels of the output.
        n_conv_per_stage: Convolutions per level.
        deep_supervision: Whether `forward` gives the output of every level.
        channels_from_below: What comes up to a level from the one below, finest first; default ``widths``.
    """

    def __init__(
        self,
        plan: SimpleNamespace,
        latent_channels: Sequence[int],
        widths: Sequence[int],
        num_outputs: int,
        n_conv_per_stage: int | Sequence[int],
        deep_supervision: bool,
        channels_from_below: Sequence[int] | None = None,
    ):
        plan = SimpleNamespace(**{**vars(plan), "output_channels": list(widths)})
        super().__init__(plan, num_outputs, n_conv_per_stage, deep_supervision, nonlin_first=plan.nonlin_first)
        # nnU-Net's takes as many channels from the encoder as from the level below, so its first layers are built anew.
        from_below = channels_from_below or widths
        levels = list(zip(widths, latent_channels, from_below, plan.kernel_sizes, strict=True))[-2::-1]
        self.fewer_from_below = [width - below for width, below in zip(widths, from_below, strict=True)]
        self.strides = plan.strides
        planned: list[Any] = list(self.stages)
        self.stages: nn.ModuleList = nn.ModuleList(
            StackedConvBlocks(
                len(stage.convs),
                plan.conv_op,
                below + latent,
                width,
                kernel,
                1,
                plan.conv_bias,
                plan.norm_op,
                plan.norm_op_kwargs,
                plan.dropout_op,
                plan.dropout_op_kwargs,
                plan.nonlin,
                plan.nonlin_kwargs,
                plan.nonlin_first,
            )
            for stage, (width, latent, below, kernel) in zip(planned, levels, strict=True)
        )
        deeper = (latent_channels[-1], *widths[-2:0:-1])
        self.transpconvs: nn.ModuleList = nn.ModuleList(
            type(up)(channels, below, up.kernel_size, up.stride, bias=up.bias is not None)
            for up, channels, (_, _, below, _) in zip(self.transpconvs, deeper, levels, strict=True)
        )
        never_small_and_alone(self, one_by_one=True)

    def coarse(self, latents: Sequence[Tensor]) -> list[Tensor]:
        """The segmentation without the finest levels, where most of the work is.

        Args:
            latents: z of the other levels, finest first.

        Returns:
            Logits ``(B, K, *spatial)`` of each that has an output, finest first: none of the deepest.
        """
        x, *skips = latents[::-1]
        outputs = []
        # nnU-Net's parts begin with the deepest level, and have the finest ones besides.
        for up, stage, output, skip in zip(self.transpconvs, self.stages, self.seg_layers, skips, strict=False):
            x = stage(torch.cat((up(x), skip), dim=1))
            outputs.append(output(x))
        return outputs[::-1]

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of the outputs of all convolutions; nnU-Net expects `widths` channels from below."""
        shapes = level_shapes(input_size, self.strides)[:-1]
        less = sum(fewer * math.prod(shape) for fewer, shape in zip(self.fewer_from_below, shapes, strict=False))
        return super().compute_conv_feature_map_size(input_size) - less
