"""One brain for all images of a case that come without skull: resampled ones are cut to that of the reference.

nnU-Net normalises each image over the voxels where any image of the case is not zero. A rim that one image has and
another has not, a voxel wide, counts as zeros of the other there, and shifts its mean and deviation
(`benchmarks/there_and_back.py` shows what that costs). Images that lie on one grid keep their voxels; where they have
such a rim it is told.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.intake.images.masks import masked

WIDEST_RIM = 0.15
"""Share of an image that may lie outside of the reference's brain and is cut off. What is more is no rim: the reference
shows less of the head, and the image keeps all of its own."""

LEAST_TOLD = 0.01
"""Share of the case's brain from which on an image's zeros there are told. They lie some four deviations below its
mean, so one in a hundred makes the deviation a twelfth larger. Images cut by one mask lack less than 0.0002."""


def in_one_brain(
    images: Mapping[str, sitk.Image], reference: str, resampled: Collection[str], common: bool = False
) -> tuple[dict[str, sitk.Image], dict[str, str]]:
    """Cut images to one brain.

    Args:
        images: By modality, on one grid, all zero around the head.
        reference: The one whose brain the resampled ones are cut to.
        resampled: Those that are cut; all others keep their voxels.
        common: Whether all are cut, to the brain that all share.

    Returns:
        The images; and by modality what was done in words, empty if nothing was.
    """
    result, notes = dict(images), dict.fromkeys(images, "")
    shares = lacking_shares(images) if common else {}
    whole = [images[name] for name, share in shares.items() if share <= WIDEST_RIM]
    if whole:
        whose, brain, cut = "the brain that all share", shared_brain(whole), [*images]
    elif resampled:
        whose, brain, cut = "the reference's brain", brain_of(images[reference]), [*resampled]
    else:
        return result, notes
    for name in cut:
        result[name], notes[name] = cut_to(images[name], brain, whose)
    return result, notes


def told_zeros(images: Mapping[str, sitk.Image]) -> dict[str, str]:
    """Modality → that an image has zeros where others show the brain, in words; empty if it has hardly any.

    Args:
        images: By modality, on one grid, all zero around the head.
    """
    return {name: _lacks(share) if share >= LEAST_TOLD else "" for name, share in lacking_shares(images).items()}


def brain_of(image: sitk.Image) -> sitk.Image:
    """Where a skull-stripped image is not zero, with the holes inside of it; uint8."""
    return sitk.BinaryFillhole(sitk.Cast(image != 0, sitk.sitkUInt8))


def shared_brain(images: Iterable[sitk.Image]) -> sitk.Image:
    """Where all of some skull-stripped images show the brain; uint8."""
    brains = [brain_of(image) for image in images]
    shared = brains[0]
    for brain in brains[1:]:
        shared = shared & brain
    return shared


def cut_to(image: sitk.Image, brain: sitk.Image, whose: str) -> tuple[sitk.Image, str]:
    """An image without its rim outside of a brain.

    Args:
        image: 3D, zero around the head.
        brain: From `brain_of`, on the same grid.
        whose: It is, in words.

    Returns:
        The image, and what was done in words; empty if nothing lies outside.
    """
    inside = sitk.GetArrayViewFromImage(image) != 0
    outside = inside & (sitk.GetArrayViewFromImage(brain) == 0)
    share = float(outside.sum() / max(1, np.count_nonzero(inside)))
    if not share:
        return image, ""
    if share > WIDEST_RIM:
        return image, f"{share:.0%} of it lies outside of {whose} and stays: it shows more of the head"
    return masked(image, brain), f"cut to {whose}: {share:.1%} of it lay outside"


def lacking_shares(images: Mapping[str, sitk.Image]) -> dict[str, float]:
    """Share of the voxels where any image is not zero in which each is zero, as nnU-Net counts them."""
    there = {name: sitk.GetArrayViewFromImage(image) != 0 for name, image in images.items()}
    brain = np.any(list(there.values()), axis=0)
    whole = max(1, int(np.count_nonzero(brain)))
    return {name: 1 - int(np.count_nonzero(own)) / whole for name, own in there.items()}


def _lacks(share: float) -> str:
    found = f"it is zero in {share:.1%} of the voxels in which other images of the case are not"
    if share > WIDEST_RIM:
        return f"{found}: it shows less of the head, and nnU-Net's normalisation counts these zeros"
    return (
        f"{found}, as if the skull had been taken off each by itself; nnU-Net's normalisation counts these zeros. "
        "--common-brain cuts all images to what they share, --mask to a mask that is there"
    )
