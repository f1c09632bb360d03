"""U-HVED inside nnU-Net: one encoder per modality, a fused latent at every level, a decoder per task.

Dorent, Joutard, Modat, Ourselin, Vercauteren: "Hetero-Modal Variational Encoder-Decoder for Joint Modality Completion
and Segmentation", MICCAI 2019. Unlike there, encoders, latents and decoders each have their own width (`widths`), and
the levels, kernels, strides, norms and numbers of convolutions are those of nnU-Net's plan.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from types import SimpleNamespace

from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.fusion import Gaussian
from nnunet_hetero.network.parts import (
    FeatureEncoder,
    LatentDecoder,
    PlannedNetwork,
    decoder_plan,
    initialise_as_nnunet,
    level_shapes,
    planned_backbone,
)
from nnunet_hetero.network.variational import HeteroModalOutput, VariationalNetwork
from nnunet_hetero.network.widths import encoder_widths, scaled_widths

__all__ = ["HeteroModalOutput", "HeteroModalVAE", "ModalityEncoder"]


class ModalityEncoder(FeatureEncoder):
    """Encoder of one modality: feature maps of every level, and from each the mean and log-variance of its latent.

    Args:
        backbone: nnU-Net's encoder, with ``return_skips=True``.
        latent_channels: Channels of the latent of every level.
        config: Clamp and start of the log-variance.
    """

    def __init__(self, backbone: nn.Module, latent_channels: Sequence[int], config: HeteroModalConfig):
        super().__init__(backbone)
        self.max_abs_log_variance = config.max_abs_log_variance
        self.initial_log_variance = config.initial_log_variance
        self.heads = nn.ModuleList(
            backbone.conv_op(features, 2 * latent, 1, bias=True)
            for features, latent in zip(backbone.output_channels, latent_channels, strict=True)
        )

    def reset_heads(self) -> None:
        """Start every level with one constant variance: noise from random log-variances would drown the signal."""
        for head in self.heads:
            latent = head.out_channels // 2
            nn.init.zeros_(head.weight[latent:])
            nn.init.constant_(head.bias[latent:], self.initial_log_variance)

    def gaussian(self, level: int, features: Tensor) -> Gaussian:
        """Posterior of this modality alone at a level, from its feature map there, float32."""
        mean, log_variance = self.heads[level](features).float().chunk(2, dim=1)
        return Gaussian(mean, log_variance.clamp(-self.max_abs_log_variance, self.max_abs_log_variance))


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
            ModalityEncoder(planned_backbone(architecture, widths, config.finest_convolutions), latent_channels, config)
            for _ in range(num_modalities)
        ]
        plan = decoder_plan(architecture, encoders[0].backbone)
        completion_gradient = config.reconstruction_weight / num_modalities
        super().__init__(num_modalities, latent_channels, plan.strides, completion_gradient)
        self.encoders = nn.ModuleList(encoders)
        # nnU-Net switches deep supervision at `network.decoder.deep_supervision`.
        self.decoder = LatentDecoder(
            plan,
            latent_channels,
            features,
            num_outputs,
            architecture["n_conv_per_stage_decoder"],
            deep_supervision,
        )
        if config.image_decoders:
            image_widths = scaled_widths(features, config.image_decoder_width)
            # 1×1×1 kernels at full resolution, to save time: the latent of that level brings the detail.
            kernels = [[1] * len(plan.strides[0]), *plan.kernel_sizes[1:]]
            image_plan = SimpleNamespace(**{**vars(plan), "kernel_sizes": kernels})
            self.image_decoder = LatentDecoder(
                image_plan, latent_channels, image_widths, num_modalities, 1, deep_supervision=False
            )
            # nnU-Net's decoder has an output layer at every level. DDP fails on those that get no gradient.
            self.image_decoder.seg_layers = self.image_decoder.seg_layers[-1:]
        initialise_as_nnunet(self)
        for encoder in self.encoders:
            encoder.reset_heads()

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements that a training step keeps for one sample with all modalities, nnU-Net's measure of memory.

        The outputs of the convolutions of encoders and decoders, mean and draw of the latents. Heads and fusion are
        computed again when their gradient is due.
        """
        latents = sum(
            channels * math.prod(shape)
            for channels, shape in zip(self.channels, level_shapes(input_size, self.strides), strict=True)
        )
        parts = [encoder.backbone for encoder in self.encoders] + [self.decoder]
        parts += [] if self.image_decoder is None else [self.image_decoder]
        return int(sum(part.compute_conv_feature_map_size(input_size) for part in parts) + 2 * latents)
