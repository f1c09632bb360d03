"""U-HVED inside nnU-Net: one encoder per modality, a fused latent at every level, a decoder per task.

Dorent, Joutard, Modat, Ourselin, Vercauteren: "Hetero-Modal Variational Encoder-Decoder for Joint Modality Completion
and Segmentation", MICCAI 2019. Unlike there, encoders, latents and decoders each have their own width (`widths`), and
the levels, kernels, strides, norms and numbers of convolutions are those of nnU-Net's plan.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.fast_cpu import quickened
from nnunet_hetero.network.image_decoder import ImageDecoder
from nnunet_hetero.network.latent_decoder import LatentDecoder
from nnunet_hetero.network.per_modality import FeatureEncoder, level_shapes
from nnunet_hetero.network.planned import (
    PlannedNetwork,
    at_most,
    decoder_plan,
    initialise_as_nnunet,
    planned_backbone,
    remove_norms,
)
from nnunet_hetero.network.variational import HeteroModalOutput, VariationalNetwork
from nnunet_hetero.network.widths import encoder_widths, image_decoder_widths, scaled_widths

__all__ = ["HeteroModalOutput", "HeteroModalVAE", "ModalityEncoder"]


class ModalityEncoder(FeatureEncoder):
    """Encoder of one modality: feature maps of every level, and from each the mean and log-variance of its latent.

    Args:
        backbone: nnU-Net's encoder, with ``return_skips=True``.
        latent_channels: Channels of the latent of every level.

    Attributes:
        heads: From the feature map of each level to mean and log-variance, see `Expert`.
    """

    def __init__(self, backbone: Any, latent_channels: Sequence[int]):
        super().__init__(backbone)
        self.heads = nn.ModuleList(
            backbone.conv_op(features, 2 * latent, 1, bias=True)
            for features, latent in zip(backbone.output_channels, latent_channels, strict=True)
        )

    def reset_heads(self, own: float, elsewhere: float, channel: int, num_modalities: int) -> None:
        """Start with constant variances: noise from random log-variances would drown the signal.

        Args:
            own: log σ² in the latents' channels that this modality speaks for, every M-th.
            elsewhere: log σ² in the others.
            channel: The modality's number.
            num_modalities: M.
        """
        for module in self.heads:
            head: Any = module
            latent = head.out_channels // 2
            nn.init.zeros_(head.weight[latent:])
            nn.init.constant_(head.bias[latent:], elsewhere)
            nn.init.constant_(head.bias[latent + channel :: num_modalities], own)

    def posterior(self, level: int, features: Tensor) -> Tensor:
        """Mean and log-variance of this modality alone at a level, from its feature map there; see `Expert`."""
        return self.heads[level](features)


class HeteroModalVAE(PlannedNetwork, VariationalNetwork):
    """Hetero-modal variational encoder-decoder.

    Args:
        architecture: Keyword arguments of nnU-Net's ``PlainConvUNet`` or ``ResidualEncoderUNet``, classes resolved.
        num_modalities: M, the number of input channels.
        num_outputs: K, the number of segmentation heads.
        deep_supervision: Whether the segmentation comes at every level.
        config: The method's settings.
    """

    def __init__(
        self,
        architecture: dict,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
        config: HeteroModalConfig | None = None,
    ):
        config = config or HeteroModalConfig()
        features = architecture["features_per_stage"]
        latent_channels = scaled_widths(features, config.latent_width)
        widths = encoder_widths(features, config)
        encoders = [
            ModalityEncoder(
                quickened(planned_backbone(architecture, widths, config.finest_convolutions)), latent_channels
            )
            for _ in range(num_modalities)
        ]
        plan = decoder_plan(architecture, encoders[0].backbone)
        completion_gradient = config.reconstruction_weight / num_modalities
        super().__init__(
            num_modalities,
            latent_channels,
            plan.strides,
            config,
            completion_gradient,
        )
        self.encoders = nn.ModuleList(encoders)
        # The plan's begin with the deepest level.
        planned = architecture["n_conv_per_stage_decoder"]
        planned = planned if isinstance(planned, int) else planned[::-1]
        convolutions = at_most(config.finest_convolutions, planned, len(features) - 1)[::-1]
        # nnU-Net switches deep supervision at `network.decoder.deep_supervision`.
        self.decoder = LatentDecoder(
            plan,
            latent_channels,
            features,
            num_outputs,
            convolutions,
            deep_supervision,
        )
        if config.image_decoders:
            self.image_decoder = ImageDecoder(
                plan, latent_channels, image_decoder_widths(features, config), num_modalities
            )
        initialise_as_nnunet(*(part for part in (self.encoders, self.decoder, self.image_decoder) if part is not None))
        self.finest_norm = config.finest_norm
        if not self.finest_norm:
            for part in self._finest_parts():
                remove_norms(part)
        for channel, encoder in enumerate(encoders):
            encoder.reset_heads(
                config.initial_log_variance, config.initial_log_variance_elsewhere, channel, num_modalities
            )
        quickened(self)

    @classmethod
    def described_widths(cls, features: Sequence[int], config: HeteroModalConfig) -> dict[str, Sequence[int]]:
        """See `HeteroNetwork`."""
        return {
            "each encoder": encoder_widths(features, config),
            "latents": scaled_widths(features, config.latent_width),
            "segmentation decoder": features,
            "image decoder": image_decoder_widths(features, config),
        }

    def _finest_parts(self) -> Iterator[nn.Module]:
        """Layers of encoders and image decoder at the finest level."""
        for encoder in self.encoders:
            backbone: Any = encoder.backbone
            if hasattr(backbone, "stem"):  # of residual encoders
                yield from (backbone.stem, backbone.stages[0])
            else:
                yield backbone.stages[0][-1]
        if isinstance(self.image_decoder, ImageDecoder):
            yield self.image_decoder.stages[-1]

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements that a training step keeps for one sample with all modalities, nnU-Net's measure of memory.

        The outputs of the convolutions of encoders and decoders, and two maps for each latent. Heads and fusion are
        computed again when their gradient is due. A layer without norm counts half: all that is left of it is what its
        nonlinearity makes of it.
        """
        latents = sum(
            channels * math.prod(shape)
            for channels, shape in zip(self.channels, level_shapes(input_size, self.strides), strict=True)
        )
        parts: list[Any] = [encoder.backbone for encoder in self.encoders] + [self.decoder]
        parts += [] if self.image_decoder is None else [self.image_decoder]
        elements = sum(part.compute_conv_feature_map_size(input_size) for part in parts) + 2 * latents
        if self.finest_norm:
            return int(elements)
        finest: list[Any] = list(self._finest_parts())
        return int(elements - sum(part.compute_conv_feature_map_size(input_size) for part in finest) / 2)
