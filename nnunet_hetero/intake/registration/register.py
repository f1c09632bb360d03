"""Rigid registration by mutual information, with SimpleITK: coarse to fine, seeded, one thread.

Metric: Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 22 (2003). Images
of different contrast are compared, so nothing but the statistics of both together can tell how well they fit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.intake.registration.rigid import box_corners, degrees, distance, identity, inverse, shift, shifted
from nnunet_hetero.intake.registration.working import around_tissue, inside_of_tissue, tissue_mask, working_image

BINS = 32
MARGIN = 8.0
"""mm around the tissue that take part."""

RIM = 4.0
"""mm of the tissue's edge that the fit of the inside alone does not see."""

PERTURBED = np.array([0.06, -0.05, 0.07, 5.0, -4.0, 3.0])
"""Where the second fit starts, away from the result of the first: three angles in radian, three shifts in mm."""

SAME_START = 1.0
"""mm; starts that are closer count as one."""


@dataclass(frozen=True)
class Level:
    """One step from coarse to fine.

    Args:
        edge: Of the working voxels, mm.
        share: Of the voxels around the tissue that are compared.
        first_step: Of the optimiser, mm at the radius of the head.
        last_step: It ends below that.
    """

    edge: float
    share: float
    first_step: float
    last_step: float


LEVELS = (Level(8.0, 1.0, 4.0, 0.1), Level(4.0, 0.5, 1.0, 0.02), Level(2.0, 0.15, 0.5, 0.005))
LEAST_EDGE = 0.6
"""A level whose voxels have a smaller share of the finer image's than this shows nothing more, and is left out."""

FEWEST = 4
"""Working voxels of the coarsest level along each axis: ITK's gradients need them."""

MOST_STEPS = 80
RELAXATION = 0.7
"""The step becomes that much shorter whenever the gradient turns back."""


@dataclass(frozen=True)
class Registration:
    """How an image was brought to the reference.

    Args:
        transform: From points of the reference to points of the image.
        before: Mutual information where the headers place both, nats.
        after: The same after registration.
        shift: How far the middle of the reference's tissue is moved, mm.
        degrees: By how much it is turned.
        overlap: Share of the smaller one's tissue that lies on tissue of the other one.
        disagreement: How far apart the reference's corners are put by a second fit, of the reference to the image and
            from another start; the mean in mm.
        inside: How far apart they are put by a fit to the inside of the tissue alone, without its outline; the mean in
            mm. Both are one for images that fit each other.
    """

    transform: sitk.Euler3DTransform
    before: float
    after: float
    shift: float
    degrees: float
    overlap: float
    disagreement: float
    inside: float


def register(
    reference: sitk.Image, image: sitk.Image, levels: tuple[Level, ...] = LEVELS, seed: int = 1
) -> Registration:
    """Bring an image to another one of the same head.

    It is begun from where the headers place both, from the middles of both images and from those of their tissue. The
    best of them after the coarsest level goes on.

    Args:
        reference: 3D, finite, with tissue.
        image: The same.
        levels: From coarse to fine.
        seed: Of the voxels that are compared.

    Returns:
        The same, to the last bit, whenever it is called.
    """
    levels = _useful(levels, reference, image)
    fixed, moving = _working_images(reference, levels), _working_images(image, levels)
    pyramid = [_Pair(fixed[level], moving[level], level, seed) for level in levels]
    starts = pyramid[0].starts()
    candidates = [pyramid[0].fit(start) for start in starts]
    found = min(candidates, key=pyramid[0].metric)
    for pair in pyramid[1:]:
        found = pair.fit(found)
    last = pyramid[-1]
    swapped = [_Pair(moving[level], fixed[level], level, seed + 1) for level in levels[-2:]]
    return Registration(
        found,
        -last.metric(identity(last.centre)),
        -last.metric(found),
        shift(found, last.centre),
        degrees(found),
        last.overlap(found),
        distance(found, _second_fit(found, swapped, last.centre), last.corners),
        _by_inside(found, last),
    )


def too_small(*images: sitk.Image) -> str | None:
    """Why images cannot be registered for their size, in words; None if they can."""
    edge = LEVELS[0].edge
    for image in images:
        extents = np.array(image.GetSize()) * np.array(image.GetSpacing())
        if np.ceil(extents / edge).min() < FEWEST:
            found = " x ".join(f"{extent:.3g}" for extent in extents)
            return f"an image of {found} mm is too small; expected are more than {(FEWEST - 1) * edge:g} mm each way"
    return None


def _useful(levels: tuple[Level, ...], *images: sitk.Image) -> tuple[Level, ...]:
    """Without those that are finer than the finer image; the coarsest always stays."""
    edge = min(float(np.prod(image.GetSpacing())) ** (1 / 3) for image in images)
    return levels[:1] + tuple(level for level in levels[1:] if level.edge >= LEAST_EDGE * edge)


def _working_images(image: sitk.Image, levels: tuple[Level, ...]) -> dict[Level, sitk.Image]:
    """From fine to coarse, each made of the one before: variances of Gaussians add up."""
    found = {}
    for level in reversed(levels):
        image = working_image(image, level.edge)
        found[level] = image
    return found


def _second_fit(first: sitk.Euler3DTransform, pairs: Iterable[_Pair], centre: np.ndarray) -> sitk.Euler3DTransform:
    found = None
    for pair in pairs:
        if found is None:
            found = inverse(first, pair.centre)
            found.SetParameters((np.array(found.GetParameters()) + PERTURBED).tolist())
        found = pair.fit(found)
    return first if found is None else inverse(found, centre)


def _by_inside(found: sitk.Euler3DTransform, pair: _Pair) -> float:
    """`Registration.inside`; infinite if the inside of the one lies nowhere on the other image."""
    try:
        return distance(found, pair.fit(found, inside_of_tissue(pair.tissue, RIM)), pair.corners)
    except RuntimeError:  # ITK's word for no common voxel
        return math.inf


class _Pair:
    """Both working images of one level."""

    def __init__(self, fixed: sitk.Image, moving: sitk.Image, level: Level, seed: int):
        self.level, self.seed = level, seed
        self.fixed, self.moving = fixed, moving
        self.tissue = tissue_mask(self.fixed)
        self.region = around_tissue(self.tissue, MARGIN)
        self.corners = box_corners(self.tissue)
        self.centre = self.corners.mean(axis=0)

    @cached_property
    def moving_tissue(self) -> sitk.Image:
        """`tissue_mask` of the image that is brought to the other one."""
        return tissue_mask(self.moving)

    @cached_property
    def radius(self) -> float:
        """Of the head, mm: what turning by one radian moves it by, about."""
        return float(np.sqrt(np.mean(np.sum((self.corners - self.centre) ** 2, axis=1) / 3)))

    def starts(self) -> list[sitk.Euler3DTransform]:
        """Where to begin."""
        shifts = [
            np.zeros(3),
            _middle(self.moving) - _middle(self.fixed),
            _centre_of_mass(self.moving_tissue) - _centre_of_mass(self.tissue),
        ]
        kept: list[np.ndarray] = []
        for length in shifts:
            if all(np.linalg.norm(length - other) > SAME_START for other in kept):
                kept.append(length)
        starts = [shifted(self.centre, length) for length in kept]
        # Without a common voxel there is nothing to compare.
        return [start for start in starts if self.overlap(start) > 0] or starts[-1:]

    def fit(self, start: sitk.Euler3DTransform, region: sitk.Image | None = None) -> sitk.Euler3DTransform:
        """The best transform near another one.

        Args:
            start: The other one.
            region: Mask of the voxels that take part; None for the tissue and what is around it.
        """
        method = self._method(self.level.share)
        if region is not None:
            method.SetMetricFixedMask(region)
        found = sitk.Euler3DTransform(start)
        method.SetInitialTransform(found, True)
        method.SetOptimizerAsRegularStepGradientDescent(
            self.level.first_step,
            self.level.last_step,
            MOST_STEPS,
            relaxationFactor=RELAXATION,
            gradientMagnitudeTolerance=1e-8,
        )
        method.SetOptimizerScales([self.radius**2] * 3 + [1.0] * 3)
        method.Execute(self.fixed, self.moving)
        return found

    def metric(self, transform: sitk.Transform) -> float:
        """Negative mutual information over all voxels around the tissue; 0 where nothing overlaps."""
        method = self._method(1.0)
        method.SetInitialTransform(transform)
        try:
            return method.MetricEvaluate(self.fixed, self.moving)
        except RuntimeError:  # ITK's word for no common voxel
            return 0.0

    def overlap(self, transform: sitk.Transform) -> float:
        """Share of the smaller one's tissue that lies on tissue of the other one."""
        moved = sitk.Resample(self.moving_tissue, self.fixed, transform, sitk.sitkNearestNeighbor, 0)
        one, other, whole = (sitk.GetArrayViewFromImage(mask) != 0 for mask in (self.tissue, moved, self.moving_tissue))
        smaller = min(np.count_nonzero(one), np.count_nonzero(whole))
        return float(np.count_nonzero(one & other) / smaller) if smaller else 0.0

    def _method(self, share: float) -> sitk.ImageRegistrationMethod:
        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetNumberOfWorkUnits(1)
        method.SetMetricAsMattesMutualInformation(BINS)
        if share < 1:
            method.SetMetricSamplingStrategy(method.RANDOM)
            method.SetMetricSamplingPercentage(share, self.seed)
        method.SetMetricFixedMask(self.region)
        method.SetInterpolator(sitk.sitkLinear)
        return method


def _middle(image: sitk.Image) -> np.ndarray:
    return np.array(image.TransformContinuousIndexToPhysicalPoint([(size - 1) / 2 for size in image.GetSize()]))


def _centre_of_mass(mask: sitk.Image) -> np.ndarray:
    places = np.argwhere(sitk.GetArrayViewFromImage(mask))
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(places.mean(axis=0)[::-1].tolist()))
