"""Images for a page: read where they lie in space, windowed to 8 bits, cropped, and as NIfTI in base64."""

from __future__ import annotations

import base64
import gzip
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import nibabel
import numpy as np
import SimpleITK as sitk

from nnunet_hetero.cases.image_files import is_nifti, read_nifti
from nnunet_hetero.errors import DataError

MARGIN = 3
"""Voxels around the head that a page keeps."""

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Picture:
    """An image, and where it lies.

    Args:
        data: ``(x, y, z)``, as NIfTI orders axes.
        affine: From voxels to millimetres, right-anterior-superior, ``(4, 4)``.
    """

    data: np.ndarray
    affine: np.ndarray

    @classmethod
    def read(cls, file: str | os.PathLike) -> Picture:
        """Any image that SimpleITK reads; one of two axes becomes one slice.

        Raises:
            DataError: If it cannot be read or is not one image with one number a voxel.
        """
        try:
            image = sitk.ReadImage(str(file))
        except RuntimeError as error:
            raise DataError(f"{file} cannot be read as an image. Predict the case again, or take it away.") from error
        dimension = image.GetDimension()
        if image.GetNumberOfComponentsPerPixel() != 1 or dimension not in (2, 3):
            raise DataError(f"{file} has {dimension} axes and colours; a page shows images with one number a voxel.")
        affine = np.eye(4)
        direction = np.array(image.GetDirection()).reshape(dimension, dimension)
        affine[:dimension, :dimension] = direction * image.GetSpacing()
        affine[:dimension, 3] = image.GetOrigin()
        data = sitk.GetArrayFromImage(image)
        data = (data[None] if dimension == 2 else data).transpose(2, 1, 0)
        if is_nifti(file) and data.dtype.kind == "f":
            # ITK reads what is no number as zero.
            data = np.asarray(read_nifti(file).dataobj).reshape(data.shape)
        return cls(data, LPS_TO_RAS @ affine)

    @classmethod
    def of_array(cls, array: np.ndarray, like: Picture) -> Picture:
        """An array as nnU-Net and SimpleITK order axes, ``(z, y, x)``, on the grid of another image."""
        return replace(like, data=np.asarray(array).transpose(2, 1, 0))

    def lies_on(self, other: Picture) -> bool:
        """Whether both have one grid, up to a hundredth of a voxel."""
        voxel = float(np.linalg.norm(other.affine[:3, :3], axis=0).min())
        corners = np.array([[0, 0, 0, 1], [*self.data.shape, 1]]).T
        same_shape = self.data.shape == other.data.shape
        return same_shape and np.allclose(self.affine @ corners, other.affine @ corners, rtol=0, atol=0.01 * voxel)

    def cropped(self, box: Sequence[slice]) -> Picture:
        """A part of it, at the same place in space."""
        affine = self.affine.copy()
        affine[:3, 3] = (affine @ [*(limits.start for limits in box), 1])[:3]
        return Picture(self.data[tuple(box)], affine)

    def window(self) -> tuple[float, float]:
        """What is shown as black and as white: percentiles of the finite voxels that are not background."""
        seen = self.data[self._is_foreground()]
        if not seen.size:
            return 0.0, 1.0
        low, high = np.percentile(seen, (0.5, 99.5))
        return float(min(low, self._background())), float(high) if high > low else float(low) + 1

    def box(self) -> tuple[slice, ...]:
        """The part that is not background, with a `MARGIN`; all of it if there is none."""
        seen = self._is_foreground()
        if not seen.any():
            return tuple(slice(0, size) for size in self.data.shape)
        limits = []
        for axis, size in enumerate(self.data.shape):
            others = tuple(other for other in range(3) if other != axis)
            places = np.flatnonzero(seen.any(axis=others))
            limits.append(slice(max(0, int(places[0]) - MARGIN), min(size, int(places[-1]) + 1 + MARGIN)))
        return tuple(limits)

    def _background(self) -> float:
        corners = self.data[:: max(1, self.data.shape[0] - 1), :: max(1, self.data.shape[1] - 1)]
        finite = corners[np.isfinite(corners)]
        return float(np.median(finite)) if finite.size else 0.0

    def _is_foreground(self) -> np.ndarray:
        return np.isfinite(self.data) & (self.data != self._background())


def joined(boxes: Sequence[Sequence[slice]]) -> tuple[slice, ...]:
    """The smallest box around some."""
    return tuple(_joined(limits) for limits in zip(*boxes, strict=True))


def _joined(limits: Sequence[slice]) -> slice:
    return slice(min(one.start for one in limits), max(one.stop for one in limits))


def as_bytes(picture: Picture, low: float, high: float) -> str:
    """A picture in 256 steps from `low` to `high`, NaN as `low`: a compressed NIfTI file in base64.

    The file's slope and intercept give the image's own numbers back, up to half a step.
    """
    steps = np.clip((np.nan_to_num(picture.data, nan=low) - low) / (high - low), 0, 1)
    return _encoded(Picture(np.rint(steps * 255).astype(np.uint8), picture.affine), (high - low) / 255, low)


def as_labels(picture: Picture) -> str:
    """A picture of small whole numbers, as they are."""
    return _encoded(Picture(picture.data.astype(np.uint8), picture.affine), 1.0, 0.0)


def as_is(picture: Picture) -> str:
    """A picture with all its digits, in float32."""
    return _encoded(Picture(np.nan_to_num(picture.data).astype(np.float32), picture.affine), 1.0, 0.0)


def _encoded(picture: Picture, slope: float, intercept: float) -> str:
    image = nibabel.Nifti1Image(picture.data, picture.affine)
    image.header.set_xyzt_units("mm")
    content = bytearray(image.to_bytes())
    # nibabel keeps slope and intercept for itself; the reader of the page wants them in the header.
    content[112:120] = np.array([slope, intercept], image.header.structarr.dtype.fields["scl_slope"][0]).tobytes()
    return base64.b64encode(gzip.compress(bytes(content), 6, mtime=0)).decode("ascii")
