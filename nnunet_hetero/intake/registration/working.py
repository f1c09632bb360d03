"""Images as registration sees them: cubic voxels, smoothed to their size, without outliers; and their tissue."""

from __future__ import annotations

import math

import numpy as np
import SimpleITK as sitk

PERCENTILES = (0.5, 99.5)
"""Of the voxels that are not zero; what lies beyond would squeeze all tissue into a few bins of a histogram."""

SIGMA_OF_WIDTH = 1 / math.sqrt(8 * math.log(2))
"""Standard deviation of a Gaussian by its width at half its height."""

LEAST_SMOOTHING = 0.25
"""In voxels; less is not worth the time."""

TISSUE = 0.02
"""What is brighter than this share of the range counts as tissue."""

LEAST_INSIDE = 0.1
"""Share of the tissue that must lie inside, or all of it counts as inside: a phantom of a few voxels, a thin rim."""


def working_image(image: sitk.Image, edge: float) -> sitk.Image:
    """An image on cubic voxels that span the same box, float32.

    Axes with finer voxels are smoothed first, so that nothing is aliased; thick slices stay as blurred as they are.

    Args:
        image: 3D, finite.
        edge: Of the new voxels, mm.
    """
    values = sitk.GetArrayViewFromImage(image)
    inside = values[values != 0]
    low, high = np.percentile(inside, PERCENTILES) if inside.size else (0.0, 1.0)
    smooth = sitk.Clamp(image, sitk.sitkFloat32, min(float(low), 0.0), float(high))
    spacing = np.array(image.GetSpacing())
    for axis, own in enumerate(spacing):
        sigma = math.sqrt(max(edge**2 - own**2, 0.0)) * SIGMA_OF_WIDTH
        if sigma > LEAST_SMOOTHING * own and image.GetSize()[axis] >= 4:  # fewer are too few for ITK's recursion
            smooth = sitk.RecursiveGaussian(smooth, sigma=float(sigma), direction=axis)
    size = np.array(image.GetSize())
    cubes = np.maximum(np.ceil(size * spacing / edge), 1).astype(int)
    # Both boxes have one centre.
    centre = image.TransformContinuousIndexToPhysicalPoint(((size - 1) / 2).tolist())
    direction = np.reshape(image.GetDirection(), (3, 3))
    origin = np.array(centre) - direction @ ((cubes - 1) / 2 * edge)
    return sitk.Resample(
        smooth,
        cubes.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        origin.tolist(),
        [edge] * 3,
        image.GetDirection(),
        0.0,
        sitk.sitkFloat32,
    )


def tissue_mask(image: sitk.Image) -> sitk.Image:
    """Where a working image is brighter than its background, uint8; of a whole head with noise, most of it."""
    values = sitk.GetArrayViewFromImage(image)
    low, high = float(values.min()), float(values.max())
    return sitk.Cast(image > low + TISSUE * (high - low), sitk.sitkUInt8)


def around_tissue(mask: sitk.Image, margin: float) -> sitk.Image:
    """A mask of `tissue_mask` with its surroundings, whose edge tells most about where the head is.

    Args:
        mask: On cubic voxels.
        margin: mm.
    """
    return sitk.BinaryDilate(mask, [max(1, round(margin / mask.GetSpacing()[0]))] * 3)


def inside_of_tissue(mask: sitk.Image, depth: float) -> sitk.Image:
    """A mask of `tissue_mask` without its rim: where the head's outline does not tell where it is.

    Args:
        mask: On cubic voxels.
        depth: Of the rim, mm.
    """
    eroded = sitk.BinaryErode(mask, [max(1, round(depth / mask.GetSpacing()[0]))] * 3)
    left, whole = (np.count_nonzero(sitk.GetArrayViewFromImage(one)) for one in (eroded, mask))
    return eroded if left >= LEAST_INSIDE * whole else mask
