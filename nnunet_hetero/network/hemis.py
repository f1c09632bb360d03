"""HeMIS: convolutions for each modality, moments over the present ones, convolutions for the segmentation, all in 2D.

Havaei, Guizard, Chapados, Bengio: "HeMIS: Hetero-Modal Image Segmentation", MICCAI 2016, figure 1. Nothing is
downsampled and nothing normalised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import Tensor, nn
from torch.nn import functional

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.fusing.moments import moments
from nnunet_hetero.network.hetero_network import EncodedModality
from nnunet_hetero.network.per_modality import EncoderPerModality, FeatureEncoder
from nnunet_hetero.network.planned import require_no_cascade, start_by_kaiming

BACK_END_FEATURES, FRONT_END_FEATURES = 48, 16
KERNEL, LAST_KERNEL = 5, 21


class BackEnd(nn.Module):
    """Of one modality: two convolutions and a max-pooling with stride 1, to one level of features."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, BACK_END_FEATURES, KERNEL, padding="same"),
            nn.ReLU(),
            nn.Conv2d(BACK_END_FEATURES, BACK_END_FEATURES, KERNEL, padding="same"),
            nn.ReLU(),
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """From ``(n, 1, H, W)`` to a list of one tensor ``(n, 48, H, W)``."""
        # The features are 0 or more, so that a border of zeros never wins.
        return [functional.max_pool2d(functional.pad(self.convolutions(x), (0, 1, 0, 1)), 2, stride=1)]


class FrontEnd(nn.Module):
    """From the moments to the segmentation.

    Args:
        num_outputs: K, the number of segmentation heads.
    """

    deep_supervision = False  # nnU-Net switches it on every network

    def __init__(self, num_outputs: int):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(2 * BACK_END_FEATURES, FRONT_END_FEATURES, KERNEL, padding="same"),
            nn.ReLU(),
            nn.Conv2d(FRONT_END_FEATURES, num_outputs, LAST_KERNEL, padding="same"),
        )

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        """Decode a list of one tensor ``(B, 96, H, W)`` to logits ``(B, K, H, W)``."""
        return self.layers(levels[0])


class HeMIS(EncoderPerModality):
    """The network of the paper, whatever the plans' own.

    Args:
        num_modalities: M, the number of input channels.
        num_outputs: K, the number of segmentation heads.
    """

    segmentation_output = re.compile(r"decoder\.layers\.2\..*")

    def __init__(self, num_modalities: int, num_outputs: int):
        super().__init__(num_modalities, [BACK_END_FEATURES], [[1, 1]])
        self.encoders = nn.ModuleList(FeatureEncoder(BackEnd()) for _ in range(num_modalities))
        self.decoder = FrontEnd(num_outputs)
        start_by_kaiming(self)

    @classmethod
    def from_plans(
        cls,
        configuration_manager: ConfigurationManager,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
    ) -> HeMIS:
        """Build the network for a 2D configuration of nnU-Net's plans, of which nothing else matters.

        Raises:
            SettingsError: If the configuration is not 2D.
        """
        require_no_cascade(configuration_manager, cls.__name__)
        dimension = len(configuration_manager.patch_size)
        if dimension != 2:
            raise SettingsError(
                f"HeMIS is a 2D network, but this configuration has patches of {dimension} axes. Choose the "
                "configuration 2d, or -tr UHeMISTrainer."
            )
        return cls(num_modalities, num_outputs)

    def fuse_level(self, encoded: Sequence[EncodedModality], level: int, shape: Sequence[int]) -> Tensor:
        """Mean and unbiased variance over the modalities, ``(B, 96, H, W)``; without any all moments are 0."""
        device = next(self.parameters()).device
        parts = [(part.features[level], part.samples.as_tensor(device)) for part in encoded]
        return moments(parts, shape, device, 1)
