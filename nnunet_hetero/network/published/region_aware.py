"""RFNet's network: modalities are weighed apart for every region of the tumour, and segment alone in training.

Ding, Yu, Yang: "RFNet: Region-aware Fusion Network for Incomplete Multi-modal Brain Tumor Segmentation", ICCV 2021.
Written from the paper's description alone. At every level a rough map of the regions is learned from the modalities
together; each region's mean features say how much each modality's features count there. A decoder that all modalities
share segments from each alone, which is a loss and nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.network.feature_fusion import FeatureFusionUNet
from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.fusions import FeatureFusion, Part
from nnunet_hetero.network.hetero_network import EncodedModality
from nnunet_hetero.network.latent_decoder import LatentDecoder
from nnunet_hetero.network.per_modality import FeatureEncoder, restricted
from nnunet_hetero.network.planned import decoder_plan, initialise_as_nnunet

SMALL = 1e-5


class Alone(NamedTuple):
    """The segmentation from one modality alone.

    Attributes:
        samples: Which samples of the batch the rows belong to.
        segmentation: Logits ``(n, K, *spatial)``.
    """

    samples: Rows
    segmentation: Tensor


class RegionAware(NamedTuple):
    """What the network makes of a batch in training.

    Attributes:
        segmentation: Logits ``(B, K, *spatial)``, or a list, finest first, with deep supervision.
        alone: From every modality that is there.
        maps: Rough logits ``(B, K, *spatial)`` of every level but the deepest, finest first.
    """

    segmentation: Tensor | list[Tensor]
    alone: list[Alone]
    maps: list[Tensor]


class RegionAwareFusion(FeatureFusion):
    """Features of the modalities, weighed for each region by its own mean features.

    Args:
        channels: C of a modality's features, and of the result.
        num_modalities: M.
        dimension: 2 or 3.
        config: The settings.
        regions: K, the segmentation heads; 0 where no map is made and the whole is one region.

    Attributes:
        overlapping: Whether regions overlap, each with a sigmoid of its own; the trainer, which knows, sets it.
    """

    overlapping: Tensor

    def __init__(self, channels: int, num_modalities: int, dimension: int, config: HeteroModalConfig, regions: int):
        super().__init__(channels, num_modalities, dimension, config)
        convolution, norm = (nn.Conv3d, nn.InstanceNorm3d) if dimension == 3 else (nn.Conv2d, nn.InstanceNorm2d)
        together, self.num_modalities = channels * num_modalities, num_modalities

        def block(inputs: int, kernel: int) -> nn.Sequential:
            layer = convolution(inputs, channels, kernel, padding=kernel // 2)
            return nn.Sequential(layer, norm(channels, affine=True), nn.LeakyReLU(0.01))

        self.map: nn.Module | None = None
        if regions:
            self.map = nn.Sequential(block(together, 1), block(channels, 3), convolution(channels, regions, 1))
        self.weights = nn.ModuleList(
            nn.Sequential(
                nn.Linear(together, channels), nn.LeakyReLU(0.01), nn.Linear(channels, together), nn.Sigmoid()
            )
            for _ in range(max(1, regions))
        )
        self.all = convolution(together, channels, 1)
        self.after = block(channels, 3)
        self.register_buffer("overlapping", torch.tensor(True))
        initialise_as_nnunet(self)

    def forward(self, parts: Sequence[Part], shape: Sequence[int], device: torch.device) -> Tensor:
        """See `FeatureFusion`."""
        return self.with_map(parts, shape, device)[0]

    def with_map(
        self, parts: Sequence[Part], shape: Sequence[int], device: torch.device
    ) -> tuple[Tensor, Tensor | None]:
        """The fused features, and the map's logits; arguments as in `FeatureFusion`."""
        images = self._side_by_side(parts, shape, device)
        logits = None if self.map is None else self.map(images)
        regions = images.new_ones((len(images), 1, *shape[2:]))
        if logits is not None:
            # It learns from its own loss.
            rough = logits.detach().float()
            regions = (rough.sigmoid() if self.overlapping else rough.softmax(dim=1)).to(images.dtype)
        fused = self.all(images)
        for weigh, region in zip(self.weights, regions.split(1, dim=1), strict=True):
            means = (images * region).flatten(2).sum(dim=2) / (region.flatten(2).sum(dim=2) + SMALL)
            weights = weigh(means).view(*means.shape, *[1] * (images.ndim - 2))
            weighed = (images * weights).unflatten(1, (self.num_modalities, self.channels)).sum(dim=1)
            fused = fused + weighed * region
        return self.after(fused), logits

    def _side_by_side(self, parts: Sequence[Part], shape: Sequence[int], device: torch.device) -> Tensor:
        """All modalities' features as channels, ``(B, M * C, *spatial)``; of absent ones zeros."""
        dtype = parts[0].features.dtype if parts else torch.float32
        images = torch.zeros((shape[0], self.num_modalities * self.channels, *shape[2:]), dtype=dtype, device=device)
        for channel, features, samples in parts:
            images[samples, channel * self.channels : (channel + 1) * self.channels] = features
        return images


class RegionAwareUNet(FeatureFusionUNet):
    """An encoder per modality, a `RegionAwareFusion` at every level, a segmentation decoder, and one for training."""

    def __init__(
        self,
        architecture: dict[str, Any],
        num_modalities: int,
        num_outputs: int,
        deep_supervision: bool,
        config: HeteroModalConfig | None = None,
    ):
        super().__init__(architecture, num_modalities, num_outputs, deep_supervision, config)
        plan = decoder_plan(architecture, cast(FeatureEncoder, self.encoders[0]).backbone)
        convolutions = architecture["n_conv_per_stage_decoder"]
        self.shared_decoder = LatentDecoder(plan, self.channels, self.channels, num_outputs, convolutions, False)
        initialise_as_nnunet(self.shared_decoder)

    @classmethod
    def fusions_at(
        cls, widths: Sequence[int], num_modalities: int, dimension: int, num_outputs: int, config: HeteroModalConfig
    ) -> list[FeatureFusion]:
        """See `FeatureFusionUNet`; the deepest level has no map of regions."""
        regions = [num_outputs] * (len(widths) - 1) + [0]
        return [
            RegionAwareFusion(width, num_modalities, dimension, config, number)
            for width, number in zip(widths, regions, strict=True)
        ]

    def forward(self, x: Tensor, available: Tensor | None = None) -> Any:
        """Segment; with ``(2, B, M)``, what is encoded and what of it is fused, a `RegionAware`."""
        if available is None or available.ndim == 2:
            return super().forward(x, available)
        self.require_channels(x)
        present, drawn = available.cpu().bool()
        encoded = self.encode(x, present)
        levels, maps = self._with_maps(restricted(encoded, drawn), len(x), x.shape[2:])
        alone = [Alone(part.samples, self.shared_decoder(part.features)) for part in encoded]
        return RegionAware(self.decode(self.latents(levels, drawn)), alone, maps)

    def _with_maps(
        self, encoded: Sequence[EncodedModality], batch_size: int, spatial: Sequence[int]
    ) -> tuple[list[Tensor], list[Tensor]]:
        device = next(self.parameters()).device
        levels, maps = [], []
        for level, shape in enumerate(self.fused_shapes(batch_size, spatial)):
            parts = [Part(part.channel, part.features[level], part.samples.as_tensor(device)) for part in encoded]
            fused, logits = cast(RegionAwareFusion, self.fusions[level]).with_map(parts, shape, device)
            levels.append(fused)
            if logits is not None:
                maps.append(logits)
        return levels, maps
