"""Removal of a region that is too small to be believed, before it is scored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.regions import Region


@dataclass(frozen=True)
class SmallRegionRemoval:
    """Takes a region out of a prediction if all of it together has fewer than a number of voxels.

    What is removed becomes the rest of the smallest region around it (enhancing tumour becomes necrotic core, so that
    tumour core and whole tumour stay as they are), or background if there is none.

    Args:
        region: Its name.
        labels: Its label values.
        replacement: The label value that its voxels get.
        voxels: Fewer than these are removed.

    Examples:
        >>> removal = SmallRegionRemoval.of("core", 3, {"whole": (1, 2), "core": 2})
        >>> removal(np.array([0, 1, 2, 2]))
        array([0, 1, 1, 1])
    """

    region: str
    labels: Region
    replacement: int
    voxels: int

    @classmethod
    def of(cls, name: str, voxels: int, regions: Mapping[str, Region]) -> SmallRegionRemoval:
        """The rule for one of the dataset's regions.

        Raises:
            SettingsError: If there is no such region, or the number is no positive one.
        """
        if name not in regions:
            raise SettingsError(f"--remove_small: there is no region '{name}'. This dataset has: {', '.join(regions)}.")
        if voxels < 1:
            raise SettingsError(f"--remove_small: {voxels} voxels; the number must be 1 or more.")
        labels = _values(regions[name])
        around = sorted((_values(other) for other in regions.values() if _values(other) > labels), key=len)
        rest = sorted(around[0] - labels) if around else [0]
        return cls(name, regions[name], rest[0], voxels)

    @property
    def convention(self) -> str:
        """What was done, in a sentence."""
        return (
            f"Predicted '{self.region}' of fewer than {self.voxels} voxels in a case was replaced by label "
            f"{self.replacement} before scoring."
        )

    def __call__(self, prediction: np.ndarray) -> np.ndarray:
        """The label map without the region if that is too small."""
        inside = region_or_label_to_mask(prediction, self.labels)
        if np.count_nonzero(inside) >= self.voxels:
            return prediction
        result = prediction.copy()
        result[inside] = self.replacement
        return result


def _values(region: Region) -> frozenset[int]:
    return frozenset(region if isinstance(region, tuple) else (region,))
