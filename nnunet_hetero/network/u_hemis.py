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
    PlannedNetwork,
    decoder_plan,
    initialise_as_nnunet,
    planned_backbone,
)
from nnunet_hetero.network.per_modality import EncodedModality, EncoderPerModality
from nnunet_hetero.network.widths import encoder_widths


class UHeMIS(PlannedNetwork, EncoderPerModality):
    """An encoder per modality and one segmentation decoder, whose widths follow from the same settings as ours.

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
        features = architecture["features_per_stage"]
        config = config or HeteroModalConfig()
        widths = encoder_widths(features, config)
        encoders = [
            FeatureEncoder(planned_backbone(architecture, widths, config.finest_convolutions))
            for _ in range(num_modalities)
        ]
        plan = decoder_plan(architecture, encoders[0].backbone)
        super().__init__(num_modalities, widths, plan.strides)
        self.encoders = nn.ModuleList(encoders)
        self.decoder = LatentDecoder(
            plan,
            [2 * width for width in widths],
            features,
            num_outputs,
            architecture["n_conv_per_stage_decoder"],
            deep_supervision,
        )
        initialise_as_nnunet(self)

    def fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Tensor:
        """Mean and variance over the modalities, ``(B, 2 * C, *spatial)``; without any all moments are 0."""
        parts = [(part.features[level], part.samples) for part in encoded]
        return moments(parts, shape, next(self.parameters()).device)
