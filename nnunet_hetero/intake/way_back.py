"""From the grid that a case was prepared on back to those of its images as they were."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.images.grids import grid_of, image_of, resampled_labels, resampled_map


@dataclass(frozen=True)
class WayBack:
    """Where the images of a case lay.

    Args:
        case: Its name.
        reference: The modality that the others were brought to.
        grid: That of the prepared images.
        grids: Of each image as it was, by modality.
        transforms: From points of the reference to points of each image as it was.
    """

    case: str
    reference: str
    grid: Geometry
    grids: Mapping[str, Geometry]
    transforms: Mapping[str, sitk.Transform]

    def labels(self, label_map: np.ndarray | sitk.Image, to: str | None = None) -> sitk.Image:
        """A label map on the grid of an image as it was: each label's mask is interpolated, and the largest counts.

        Args:
            label_map: On the prepared grid; an array is ``(z, y, x)``.
            to: Modality; None is the reference, where every voxel keeps its label.

        Raises:
            SettingsError: If the case had no such image.
            DataError: If the label map lies on another grid, or has other values than whole numbers.
        """
        placed = self._placed(label_map)
        values = np.unique(sitk.GetArrayViewFromImage(placed))
        others = values[~np.isfinite(values) | (values != np.round(values))]
        if others.size:
            raise DataError(
                f"Case '{self.case}': a label map has whole numbers, and the result has {others[0]:g}. Probabilities "
                "and other decimals go back as maps (restore_map)."
            )
        return resampled_labels(placed, *self._way(to))

    def map(self, image: np.ndarray | sitk.Image, to: str | None = None) -> sitk.Image:
        """The same for decimals, such as a completed image or an entropy: linear interpolation, float32."""
        return resampled_map(self._placed(image), *self._way(to))

    def _way(self, to: str | None) -> tuple[Geometry, sitk.Transform]:
        name = self.reference if to is None else to
        if name not in self.grids:
            raise SettingsError(f"Case '{self.case}' has no image of {name}; it has {', '.join(self.grids)}.")
        return self.grids[name], self.transforms[name].GetInverse()

    def _placed(self, image: np.ndarray | sitk.Image) -> sitk.Image:
        if isinstance(image, np.ndarray):
            expected = tuple(reversed(self.grid.shape))
            if image.shape != expected:
                raise DataError(f"Case '{self.case}': the result has the shape {image.shape}, expected is {expected}.")
            return image_of(np.ascontiguousarray(image), self.grid)
        if image.GetDimension() != 3:
            raise DataError(f"Case '{self.case}': the result has {image.GetDimension()} axes, expected are 3.")
        difference = grid_of(image).difference(self.grid, "the prepared images")
        if difference:
            raise DataError(f"Case '{self.case}': the result does not lie where the prepared images do: {difference}.")
        return image
