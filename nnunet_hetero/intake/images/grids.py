"""Grids of SimpleITK images: comparing them, keeping them in JSON, and bringing images and label maps to one."""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from typing_extensions import TypedDict

from nnunet_hetero.cases.geometry import Geometry

FINER = 1.2
"""An axis is smoothed before resampling if the new voxels are that many times longer."""


class StoredGrid(TypedDict):
    """A grid as JSON has it, in ITK's terms: sizes, mm, left, posterior, superior."""

    size: list[int]
    spacing: list[float]
    origin: list[float]
    direction: list[float]


def grid_of(image: sitk.Image) -> Geometry:
    """Where the voxels of a 3D image lie."""
    direction = np.reshape(image.GetDirection(), (3, 3))
    return Geometry(image.GetSize(), np.array(image.GetSpacing()), direction, np.array(image.GetOrigin()))


def stored_grid(grid: Geometry) -> StoredGrid:
    """A grid for a JSON file, to the last bit."""
    return {
        "size": [int(size) for size in grid.shape],
        "spacing": grid.spacing.tolist(),
        "origin": grid.origin.tolist(),
        "direction": grid.direction.ravel().tolist(),
    }


def grid_from(stored: StoredGrid) -> Geometry:
    """What `stored_grid` kept."""
    direction = np.reshape(stored["direction"], (3, 3))
    return Geometry(tuple(stored["size"]), np.array(stored["spacing"]), direction, np.array(stored["origin"]))


def voxel_millilitres(grid: Geometry) -> float:
    """Volume of a voxel."""
    return float(np.prod(grid.spacing)) / 1000


def empty_image(grid: Geometry) -> sitk.Image:
    """An image of zeros, uint8: what SimpleITK takes for a grid."""
    image = sitk.Image(list(map(int, grid.shape)), sitk.sitkUInt8)
    return placed(image, grid)


def placed(image: sitk.Image, grid: Geometry) -> sitk.Image:
    """The image itself, put where a grid of its shape lies."""
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


def image_of(array: np.ndarray, grid: Geometry) -> sitk.Image:
    """An image of an array ``(z, y, x)`` on a grid."""
    return placed(sitk.GetImageFromArray(array), grid)


def resampled_image(image: sitk.Image, grid: Geometry, transform: sitk.Transform) -> sitk.Image:
    """An image on another grid, float32.

    Cubic B-splines keep it sharp. What they add around edges is cut off, and what was background, zero, stays zero:
    nnU-Net's cropping and normalisation go by it.

    Args:
        image: 3D.
        grid: The new one.
        transform: From points of the new grid to points of the image.
    """
    values = sitk.GetArrayViewFromImage(image)
    low, high = float(values.min()), float(values.max())
    smooth = sitk.Cast(image, sitk.sitkFloat32)
    for axis, sigma in enumerate(_smoothing(grid_of(image), grid, transform)):
        if sigma > 0 and image.GetSize()[axis] >= 4:  # fewer are too few for ITK's recursion
            smooth = sitk.RecursiveGaussian(smooth, sigma=sigma, direction=axis)
    like = empty_image(grid)
    inside = sitk.Resample(sitk.Cast(image != 0, sitk.sitkUInt8), like, transform, sitk.sitkNearestNeighbor, 0)
    result = sitk.Resample(smooth, like, transform, sitk.sitkBSpline, 0.0, sitk.sitkFloat32)
    return sitk.Mask(sitk.Clamp(result, sitk.sitkFloat32, low, high), inside)


def common_share(image: sitk.Image, resampled: sitk.Image, reference: sitk.Image) -> float:
    """Share of the smaller one of two images that both show, counted in voxels that are not zero.

    Args:
        image: 3D.
        resampled: The same on the grid of the reference.
        reference: The other image.
    """
    there, here = (sitk.GetArrayViewFromImage(one) != 0 for one in (resampled, reference))
    whole = np.count_nonzero(sitk.GetArrayViewFromImage(image)) * float(np.prod(image.GetSpacing()))
    voxel = float(np.prod(reference.GetSpacing()))
    smaller = min(whole, np.count_nonzero(here) * voxel)
    return float(np.count_nonzero(there & here) * voxel / smaller) if smaller else 0.0


def resampled_map(image: sitk.Image, grid: Geometry, transform: sitk.Transform) -> sitk.Image:
    """A map of decimals, such as probabilities or completed images, on another grid by linear interpolation."""
    return sitk.Resample(
        sitk.Cast(image, sitk.sitkFloat32), empty_image(grid), transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32
    )


def resampled_labels(labels: sitk.Image, grid: Geometry, transform: sitk.Transform) -> sitk.Image:
    """A label map on another grid: each label's mask by linear interpolation, and at each voxel the largest.

    The surfaces stay smooth, which the nearest voxel's label would not. Of equal shares the smaller label counts.

    Args:
        labels: Of whole numbers.
        grid: The new one; outside of the label map is background, 0.
        transform: From points of the new grid to points of the label map.
    """
    like = empty_image(grid)
    values = np.unique(sitk.GetArrayViewFromImage(labels))
    shape = tuple(int(size) for size in reversed(grid.shape))
    best, largest = np.zeros(shape, np.float32), np.zeros(shape, sitk.GetArrayViewFromImage(labels).dtype)
    for value in sorted({0, *values.tolist()}):
        mask = sitk.Cast(labels == value, sitk.sitkFloat32)
        outside = 1.0 if value == 0 else 0.0
        share = sitk.GetArrayFromImage(sitk.Resample(mask, like, transform, sitk.sitkLinear, outside, sitk.sitkFloat32))
        closer = share > best
        best[closer], largest[closer] = share[closer], value
    return image_of(largest, grid)


def _smoothing(own: Geometry, grid: Geometry, transform: sitk.Transform) -> list[float]:
    """Standard deviation of a Gaussian for each axis of an image whose voxels are shorter than the new ones, mm."""
    here = np.array(transform.TransformPoint(grid.origin.tolist()))
    steps = np.zeros((3, 3))
    for axis in range(3):
        there = grid.origin + grid.direction[:, axis] * grid.spacing[axis]
        steps[:, axis] = np.array(transform.TransformPoint(there.tolist())) - here
    # How long the new voxels are along each axis of the image.
    lengths = np.abs(np.linalg.inv(own.direction) @ steps).max(axis=1)
    needed = lengths > FINER * own.spacing
    sigma = np.sqrt(np.maximum(lengths**2 - own.spacing**2, 0)) / np.sqrt(8 * np.log(2))
    return np.where(needed, sigma, 0.0).tolist()
