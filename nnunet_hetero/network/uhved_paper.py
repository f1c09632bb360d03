"""U-HVED as published: four levels of 8 to 64 features, max-pooling, linear upsampling, pre-activation.

Dorent et al., MICCAI 2019, section 4 and figure 2; what the paper leaves open is as in the authors' released code
(github.com/ReubenDo/U-HVED): one 1×1×1 convolution before the first level, no residual connections, the first half of a
level's features is the latent's mean and the second its log-variance, a decoder halves its features in the second
convolution of each level, biases in no convolution that instance norm follows or precedes.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

import torch
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager
from torch import Tensor, nn
from torch.nn import functional

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.per_modality import FeatureEncoder, compute_again
from nnunet_hetero.network.planned import require_no_cascade, start_by_kaiming
from nnunet_hetero.network.variational import VariationalNetwork

FEATURES = (8, 16, 32, 64)
"""Of every level of an encoder, finest first; the latents have half of them."""

LATENTS = tuple(features // 2 for features in FEATURES)

SLOPE = 0.02
"""Of the leaky rectifier below zero, that of NiftyNet, the authors' library."""

CONVOLUTIONS = {2: nn.Conv2d, 3: nn.Conv3d}
NORMS = {2: nn.InstanceNorm2d, 3: nn.InstanceNorm3d}
POOLS = {2: nn.MaxPool2d, 3: nn.MaxPool3d}
INTERPOLATIONS = {2: "bilinear", 3: "trilinear"}


class PreActivation(nn.Sequential):
    """Instance norm → leaky ReLU → convolution, twice.

    Args:
        dimension: 2 or 3.
        channels: Of the input, after the first, and after the second convolution.
    """

    def __init__(self, dimension: int, channels: tuple[int, int, int]):
        layers = []
        for before, after in pairwise(channels):
            layers += [
                NORMS[dimension](before, affine=True),
                nn.LeakyReLU(SLOPE),
                CONVOLUTIONS[dimension](before, after, 3, padding=1, bias=False),
            ]
        super().__init__(*layers)


class PaperBackbone(nn.Module):
    """Encoder of one modality, from ``(n, 1, *spatial)`` to the features of every level, finest first.

    Args:
        dimension: 2 or 3.
    """

    def __init__(self, dimension: int):
        super().__init__()
        self.stem = nn.Sequential(CONVOLUTIONS[dimension](1, FEATURES[0], 1, bias=False), nn.LeakyReLU(SLOPE))
        # Rounding up, so that a level of odd size keeps its last voxels.
        self.pool = POOLS[dimension](2, ceil_mode=True)
        before = (FEATURES[0], *FEATURES)
        self.blocks = nn.ModuleList(
            PreActivation(dimension, (incoming, features, features))
            for incoming, features in zip(before, FEATURES, strict=False)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        """Encode images of one modality."""
        x = self.stem(x)
        levels = [self.blocks[0](x)]
        for block in self.blocks[1:]:
            levels.append(block(self.pool(levels[-1])))
        return levels


class PaperEncoder(FeatureEncoder):
    """Encoder of one modality, whose features are mean and log-variance of the latents.

    Args:
        dimension: 2 or 3.
    """

    def __init__(self, dimension: int):
        super().__init__(PaperBackbone(dimension))
        self.heads = nn.ModuleList(nn.Identity() for _ in FEATURES)

    def posterior(self, level: int, features: Tensor) -> Tensor:
        """Mean and log-variance of this modality alone, which its features are; see `Expert`."""
        return self.heads[level](features)


class PaperDecoder(nn.Module):
    """Decoder from the latents of all levels, finest first, to ``(B, num_outputs, *spatial)``.

    Args:
        dimension: 2 or 3.
        num_outputs: Channels of the output.
    """

    deep_supervision = False  # nnU-Net switches it on every network

    def __init__(self, dimension: int, num_outputs: int):
        super().__init__()
        self.interpolation = INTERPOLATIONS[dimension]
        # From the deepest latent up: the features of the level below, upsampled, beside the level's own latent.
        self.blocks = nn.ModuleList(
            PreActivation(dimension, (below + latent, features, features // 2))
            for below, latent, features in zip(LATENTS[:0:-1], LATENTS[-2::-1], FEATURES[-2::-1], strict=True)
        )
        self.output = CONVOLUTIONS[dimension](FEATURES[0] // 2, num_outputs, 1)

    def forward(self, latents: Sequence[Tensor]) -> Tensor:
        """Decode."""
        *finer, x = latents
        for block, latent in zip(self.blocks, reversed(finer), strict=True):
            x = functional.interpolate(x, latent.shape[2:], mode=self.interpolation, align_corners=False)
            x = block(torch.cat([x, latent], dim=1))
        return self.output(x)


class ImageDecoders(nn.ModuleList):
    """A decoder for each modality, from the latents of all levels to ``(B, M, *spatial)``."""

    def forward(self, latents: Sequence[Tensor], available: Tensor, modalities: Sequence[int] | None = None) -> Tensor:
        """Decode the images of some modalities, default all, whatever the latents were fused from."""
        decoders = self if modalities is None else [self[modality] for modality in modalities]
        return torch.cat([compute_again(self, decoder, latents) for decoder in decoders], dim=1)


class PaperUHVED(VariationalNetwork):
    """The network of the paper, whatever the plans' own.

    Args:
        dimension: 2 or 3.
        num_modalities: M, the number of input channels.
        num_outputs: K, the number of segmentation heads.
        config: Fusion, clamp of the log-variance, and whether there are image decoders.
    """

    segmentation_output = re.compile(r"decoder\.output\..*")

    def __init__(self, dimension: int, num_modalities: int, num_outputs: int, config: HeteroModalConfig | None = None):
        config = config or HeteroModalConfig()
        strides = [[1] * dimension, *[[2] * dimension] * (len(FEATURES) - 1)]
        super().__init__(num_modalities, LATENTS, strides, config)
        self.encoders = nn.ModuleList(PaperEncoder(dimension) for _ in range(num_modalities))
        self.decoder = PaperDecoder(dimension, num_outputs)
        if config.image_decoders:
            self.image_decoder = ImageDecoders(PaperDecoder(dimension, 1) for _ in range(num_modalities))
        start_by_kaiming(self)

    @classmethod
    def from_plans(
        cls,
        configuration_manager: ConfigurationManager,
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
    ) -> PaperUHVED:
        """Build the network for a configuration of nnU-Net's plans, of which only the number of dimensions matters.

        Raises:
            SettingsError: If the configuration is the second stage of a cascade.
        """
        require_no_cascade(configuration_manager, cls.__name__)
        config = HeteroModalConfig.from_plans(configuration_manager)
        return cls(len(configuration_manager.patch_size), num_modalities, num_outputs, config)
