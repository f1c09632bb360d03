"""Images for a page: read where they lie in space, windowed, cropped, and packed as text."""

from __future__ import annotations

import base64
import gzip
import io
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import nibabel
import numpy as np
import SimpleITK as sitk
from PIL import Image

from nnunet_hetero.cases.image_files import is_nifti, read_nifti
from nnunet_hetero.errors import DataError

MARGIN = 3
"""Voxels around the head that a page keeps."""

STEPS = 80
"""Of an image on a page: finer ones would mostly keep the image's noise, which does not get smaller by packing."""

HEADER_BYTES = 352

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


@dataclass(frozen=True)
class Mosaic:
    """A picture in `STEPS` steps, its slices side by side in a PNG file: a third smaller than a packed NIfTI file.

    Args:
        png: The file in base64, 8 bits grey, `columns` slices in a row, the picture's first axis to the right.
        columns: Slices in a row.
        header: That of a NIfTI file in base64; slope and intercept give the image's own numbers back.
    """

    png: str
    columns: int
    header: str


def as_mosaic(picture: Picture, low: float, high: float) -> Mosaic:
    """A picture from `low` to `high`, NaN as `low`, exact to half a step."""
    share = np.clip((np.nan_to_num(picture.data, nan=low) - low) / (high - low), 0, 1)
    steps = np.rint(share * STEPS).astype(np.uint8)
    width, height, number = steps.shape
    columns = int(np.ceil(np.sqrt(number)))
    tiles = np.zeros((columns * -(-number // columns), height, width), np.uint8)
    tiles[:number] = steps.transpose(2, 1, 0)
    sheet = tiles.reshape(-1, columns, height, width).transpose(0, 2, 1, 3).reshape(-1, columns * width)
    stream = io.BytesIO()
    Image.fromarray(sheet).save(stream, "PNG", compress_level=6)
    header = _nifti(Picture(steps, picture.affine), (high - low) / STEPS, low)[:HEADER_BYTES]
    return Mosaic(_base64(stream.getvalue()), columns, _base64(header))


def as_labels(picture: Picture) -> str:
    """A picture of whole numbers from 0 on, as they are."""
    return _encoded(Picture(picture.data.astype(np.min_scalar_type(int(picture.data.max()))), picture.affine))


def as_is(picture: Picture) -> str:
    """A picture with all its digits, in float32."""
    return _encoded(Picture(np.nan_to_num(picture.data).astype(np.float32), picture.affine))


def _encoded(picture: Picture) -> str:
    return _base64(gzip.compress(_nifti(picture, 1.0, 0.0), 6, mtime=0))


def _nifti(picture: Picture, slope: float, intercept: float) -> bytes:
    image = nibabel.Nifti1Image(picture.data, picture.affine)
    image.header.set_xyzt_units("mm")
    content = bytearray(image.to_bytes())
    # nibabel keeps slope and intercept for itself; the reader of the page wants them in the header.
    content[112:120] = np.array([slope, intercept], np.float32).tobytes()
    return bytes(content)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
