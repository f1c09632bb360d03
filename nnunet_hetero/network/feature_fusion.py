"""nnU-Net's U-Net with an encoder per modality, whose skips are a fusion of the present modalities' features.

With the fusion ``moments`` it is U-HeMIS, the comparator of Dorent et al., MICCAI 2019, section 4: HeMIS (Havaei et
al., MICCAI 2016) with the encoder-decoder of U-HVED, without latents and without image decoders.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.fusions import MOMENTS, FeatureFusion, Part, fusion_of
from nnunet_hetero.network.hetero_network import EncodedModality
from nnunet_hetero.network.latent_decoder import LatentDecoder
from nnunet_hetero.network.per_modality import EncoderPerModality, FeatureEncoder
from nnunet_hetero.network.planned import PlannedNetwork, decoder_plan, initialise_as_nnunet, planned_backbone
from nnunet_hetero.network.widths import encoder_widths


class FeatureFusionUNet(PlannedNetwork, EncoderPerModality):
    """An encoder per modality and one segmentation decoder, whose widths follow from the same settings as ours.

    Args:
        architecture: Keyword arguments of nnU-Net's ``PlainConvUNet`` or ``ResidualEncoderUNet``, classes resolved.
        num_modalities: M, the number of input channels.
        num_outputs: K, the number of segmentation heads.
        deep_supervision: Whether the segmentation comes at every level.
        config: The method's settings; ``fusion`` says how modalities are fused.

    Attributes:
        default_fusion: Where the settings do not say.

    Raises:
        SettingsError: If the setting ``fusion`` names none that this network can use.
    """

    default_fusion: str | None = None

    def __init__(
        self,
        architecture: dict[str, Any],
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
        fusions = self.fusions_at(widths, num_modalities, len(plan.strides[0]), num_outputs, config)
        self.decoder = LatentDecoder(
            plan,
            [level.out_channels for level in fusions],
            features,
            num_outputs,
            architecture["n_conv_per_stage_decoder"],
            deep_supervision,
        )
        initialise_as_nnunet(self.encoders, self.decoder)
        self.fusions = nn.ModuleList(fusions)

    @classmethod
    def fusions_at(
        cls, widths: Sequence[int], num_modalities: int, dimension: int, num_outputs: int, config: HeteroModalConfig
    ) -> list[FeatureFusion]:
        """The fusion of every level, finest first.

        Args:
            widths: Channels of a modality's features at every level.
            num_modalities: M.
            dimension: 2 or 3.
            num_outputs: K, the number of segmentation heads.
            config: The method's settings.

        Raises:
            SettingsError: If the setting ``fusion`` names none that this network can use.
        """
        kind: type[Any] = FeatureFusion
        fusion = fusion_of(config.fusion, kind, cls.default_fusion, cls.__name__)
        return [fusion(width, num_modalities, dimension, config) for width in widths]

    def fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Tensor:
        """What the fusion makes of the features of a level."""
        device = next(self.parameters()).device
        parts = [Part(part.channel, part.features[level], part.samples.as_tensor(device)) for part in encoded]
        return self.fusions[level](parts, shape, device)

    def compute_conv_feature_map_size(self, input_size: Sequence[int]) -> int:
        """Elements of the outputs of the convolutions of encoders and decoder, for one sample with all modalities."""
        parts: list[Any] = [encoder.backbone for encoder in self.encoders] + [self.decoder]
        return int(sum(part.compute_conv_feature_map_size(input_size) for part in parts))

    @classmethod
    def described_widths(cls, features: Sequence[int], config: HeteroModalConfig) -> dict[str, Sequence[int]]:
        """See `HeteroNetwork`."""
        return {"each encoder": encoder_widths(features, config), "segmentation decoder": features}


class UHeMIS(FeatureFusionUNet):
    """With mean and variance over the modalities, ``(B, 2 * C, *spatial)``; without any all moments are 0."""

    default_fusion = MOMENTS
