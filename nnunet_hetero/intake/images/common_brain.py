"""One brain for all images of a case that come without skull: resampled ones are cut to that of the reference.

nnU-Net normalises each image over the voxels where any image of the case is not zero. A rim that one image has and
another has not, a voxel wide, counts as zeros of the other there, and shifts its mean and deviation
(`benchmarks/there_and_back.py` shows what that costs).
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.intake.images.masks import masked

WIDEST_RIM = 0.15
"""Share of an image that may lie outside of the reference's brain and is cut off. What is more is no rim: the reference
shows less of the head, and the image keeps all of its own."""


def brain_of(image: sitk.Image) -> sitk.Image:
    """Where a skull-stripped image is not zero, with the holes inside of it; uint8."""
    return sitk.BinaryFillhole(sitk.Cast(image != 0, sitk.sitkUInt8))


def cut_to(image: sitk.Image, brain: sitk.Image) -> tuple[sitk.Image, str]:
    """An image without its rim outside of a brain.

    Args:
        image: 3D, zero around the head.
        brain: From `brain_of`, on the same grid.

    Returns:
        The image, and what was done in words; empty if nothing lies outside.
    """
    inside = sitk.GetArrayViewFromImage(image) != 0
    outside = inside & (sitk.GetArrayViewFromImage(brain) == 0)
    share = float(outside.sum() / max(1, np.count_nonzero(inside)))
    if not share:
        return image, ""
    if share > WIDEST_RIM:
        return image, f"{share:.0%} of it lies outside of the reference's brain and stays: the reference shows less"
    return masked(image, brain), f"cut to the reference's brain: {share:.1%} of it lay outside"
