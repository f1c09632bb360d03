"""U-HeMIS: nnU-Net's U-Net with an encoder per modality, whose skips are moments over the present modalities.

The comparator of Dorent et al., MICCAI 2019, section 4: HeMIS (Havaei et al., MICCAI 2016) with the encoder-decoder of
U-HVED, without latents and without image decoders.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.fusion import moments
from nnunet_hetero.network.parts import (
    FeatureEncoder,
    LatentDecoder,
    compute_again,
    decoder_plan,
    initialise_as_nnunet,
    level_shapes,
    planned_architecture,
    planned_backbone,
)
from nnunet_hetero.network.separate import EncodedModality, EncoderPerModality
from nnunet_hetero.network.widths import scaled_widths


class UHeMIS(EncoderPerModality):
    """An encoder per modality and one segmentation decoder, of the same widths as those of `HeteroModalVAE`.

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
        super().__init__(num_modalities)
        features = architecture["features_per_stage"]
        self.widths = scaled_widths(features, (config or HeteroModalConfig()).encoder_width)
        self.encoders = nn.ModuleList(
            FeatureEncoder(planned_backbone(architecture, self.widths)) for _ in range(num_modalities)
        )
        plan = decoder_plan(architecture, self.encoders[0].backbone)
        self.strides = plan.strides
        self.decoder = LatentDecoder(
            plan,
            [2 * width for width in self.widths],
            features,
            num_outputs,
            architecture["n_conv_per_stage_decoder"],
            deep_supervision,
        )
        initialise_as_nnunet(self)

    @classmethod
    def from_plans(cls, configuration_manager, num_modalities: int, num_outputs: int, deep_supervision: bool):
        """Build the network for a configuration of nnU-Net's plans.

        Raises:
            SettingsError: If the plan's network is neither ``PlainConvUNet`` nor ``ResidualEncoderUNet``, or the
                configuration is the second stage of a cascade.
        """
        architecture = planned_architecture(configuration_manager, cls.__name__)
        config = HeteroModalConfig.from_plans(configuration_manager)
        return cls(architecture, num_modalities, num_outputs, deep_supervision, config)

    def fuse(self, encoded: Sequence[EncodedModality], batch_size: int, spatial: Sequence[int]) -> list[Tensor]:
        """Mean and variance over the modalities, ``(B, 2 * C, *spatial)`` at every level, finest first.

        Args:
            encoded: From `encode`, or part of it; without any all moments are 0.
            batch_size: B.
            spatial: The images' spatial shape, in voxels.
        """
        shapes = level_shapes(spatial, self.strides)
        return [
            compute_again(self, self._fuse_level, encoded, level, (batch_size, width, *shape))
            for level, (width, shape) in enumerate(zip(self.widths, shapes, strict=True))
        ]

    def _fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Tensor:
        parts = [(part.features[level], part.samples) for part in encoded]
        return moments(parts, shape, next(self.parameters()).device)
