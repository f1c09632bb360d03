"""What a model segments: the regions of a dataset, or its labels if it has no regions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import torch
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from torch import Tensor

Region = int | tuple[int, ...]


def regions_of(label_manager: LabelManager) -> dict[str, Region]:
    """The dataset's foreground regions, or labels if it has no regions, by their names in dataset.json.

    Args:
        label_manager: nnU-Net's label manager.
    """
    regions = {}
    for name, labels in label_manager.label_dict.items():
        values = tuple(labels) if isinstance(labels, (list, tuple)) else (labels,)
        if name != "ignore" and set(values) != {0}:
            regions[name] = values if len(values) > 1 else values[0]
    return regions


@dataclass(frozen=True)
class RegionDecoder:
    """Probabilities and masks of R regions from the network's K outputs; a dataset without regions has labels instead.

    Args:
        label_manager: nnU-Net's label manager.
    """

    label_manager: LabelManager

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the regions, in the order of dataset.json."""
        return tuple(regions_of(self.label_manager))

    @property
    def channels(self) -> list[int]:
        """The output that holds each region's probability, one against the rest."""
        regions = regions_of(self.label_manager)
        if self.label_manager.has_regions:
            return list(range(len(regions)))
        # Without regions there is one output per label, in their order.
        return [label for label in regions.values() if isinstance(label, int)]

    def probabilities(self, probabilities: Tensor) -> Tensor:
        """Probability of each region: ``(K, *spatial)`` to ``(R, *spatial)``."""
        return probabilities if self.label_manager.has_regions else probabilities[self.channels]

    def masks(self, probabilities: Tensor) -> Iterator[Tensor]:
        """Which voxels belong to each region after nnU-Net's decision for one label: R times ``(*spatial)`` bool.

        One after the other, since all of them would take as much memory as the probabilities.
        """
        if self.label_manager.has_regions:
            label_map = self.label_manager.convert_probabilities_to_segmentation(probabilities)
        else:
            label_map = probabilities.argmax(0)
        for region in regions_of(self.label_manager).values():
            yield mask_of_region(label_map, region)

    def into_logits(self, probabilities: Tensor) -> Tensor:
        """What nnU-Net's nonlinearity turns into these probabilities again, ``(K, *spatial)``, finite; in place."""
        for channel in probabilities:
            # Of one part in ten million nothing is left in float32.
            clamped = channel.float().clamp(1e-7, 1 - 1e-7)
            channel.copy_(torch.logit(clamped) if self.label_manager.has_regions else torch.log(clamped))
        return probabilities


def mask_of_region(label_map: Tensor, region: Region) -> Tensor:
    """Voxels whose label belongs to a region."""
    values: Iterable[int] = region if isinstance(region, tuple) else (region,)
    return torch.isin(label_map, torch.tensor(list(values), device=label_map.device))
