"""The images of one case on one grid, as a model wants them; and results back on the grids where they came from."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.cases.image_values import absence, doubts
from nnunet_hetero.cases.orientation import obliqueness, orientation_of, reoriented
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.images.background import not_like_training
from nnunet_hetero.intake.images.bias import without_bias
from nnunet_hetero.intake.images.common_brain import in_one_brain, told_zeros
from nnunet_hetero.intake.images.grids import common_share, grid_of, resampled_image
from nnunet_hetero.intake.images.masks import given_mask, masked
from nnunet_hetero.intake.options import IntakeOptions
from nnunet_hetero.intake.proposal.verdict import MR_KINDS, kind_of
from nnunet_hetero.intake.registration.edges import Edges, edges_in_common
from nnunet_hetero.intake.registration.plausible import (
    REMEDY,
    another_head,
    doubtful,
    gains,
    hardly_overlaps,
    implausible,
)
from nnunet_hetero.intake.registration.register import Registration, register, too_small
from nnunet_hetero.intake.target import Target
from nnunet_hetero.intake.way_back import WayBack

REFERENCE, SAME_GRID, RESAMPLED, REGISTERED = "reference", "same grid", "resampled", "registered"
ABSENT = "absent"
"""What became of an image."""

OBLIQUE = 20.0
"""Degrees off the nearest axes of the patient from which on the user is told."""


@dataclass(frozen=True)
class Fate:
    """What became of an image.

    Args:
        became: One of `REFERENCE`, `SAME_GRID`, `RESAMPLED`, `REGISTERED` and `ABSENT`.
        registration: What was found, also if the headers were believed in the end; None if nothing was looked for.
        notes: What is worth a word.
        doubt: Why its place is to be looked at; empty if nothing speaks against it.
    """

    became: str
    registration: Registration | None = None
    notes: tuple[str, ...] = ()
    doubt: str = ""


@dataclass(frozen=True)
class PreparedCase:
    """The images of a case on one grid.

    Args:
        case: Its name.
        images: By modality; all on the grid of the reference, in the model's orientation.
        reference: The modality whose grid that is.
        transforms: From points of the reference to points of each image as it was.
        grids: Where each image lay as it was.
        fates: What became of each image that was given.
        skulls: What is not like the model's training images; empty if nothing is, or if it was mended.
    """

    case: str
    images: dict[str, sitk.Image]
    reference: str
    transforms: dict[str, sitk.Transform]
    grids: dict[str, Geometry]
    fates: dict[str, Fate]
    skulls: dict[str, str] = field(default_factory=dict)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """Voxels by modality, ``(z, y, x)``: what `HeteroModalPredictor.predict` takes, with `spacing`."""
        return {name: sitk.GetArrayFromImage(image) for name, image in self.images.items()}

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Edges of a voxel, mm, in the order ``(z, y, x)``."""
        x, y, z = self.grid.spacing.tolist()
        return z, y, x

    @property
    def grid(self) -> Geometry:
        """That of all `images`."""
        return grid_of(self.images[self.reference])

    @property
    def way_back(self) -> WayBack:
        """To the grids of the images as they were."""
        return WayBack(self.case, self.reference, self.grid, self.grids, self.transforms)

    def restore(self, segmentation: np.ndarray | sitk.Image, to: str | None = None) -> sitk.Image:
        """A label map on the grid of an image as it was given, see `WayBack.labels`.

        Args:
            segmentation: On the grid of `images`; an array is ``(z, y, x)``.
            to: Modality; None is the reference, where every voxel keeps its label.

        Raises:
            SettingsError: If the case had no such image.
            DataError: If the label map lies on another grid.
        """
        return self.way_back.labels(segmentation, to)

    def restore_map(self, image: np.ndarray | sitk.Image, to: str | None = None) -> sitk.Image:
        """The same for a map of decimals: a completed image, a probability, an entropy; linear, float32."""
        return self.way_back.map(image, to)


def prepare_images(
    case: str,
    given: Mapping[str, sitk.Image],
    target: Target,
    options: IntakeOptions,
    frames: Mapping[str, str | None] | None = None,
    mask: sitk.Image | None = None,
) -> PreparedCase:
    """Bring the images of a case to one grid, and to what a model wants.

    Args:
        case: Its name.
        given: Modality → image, 3D and finite.
        target: What the model wants.
        options: How.
        frames: Modality → frame of reference, a name that images of one session share.
        mask: Of the brain, on the grid of one of the images.

    Raises:
        DataError: If a registration is not to be believed, no image can be the reference, the mask is none or keeps
            nothing of an image, an image lies elsewhere by its header, or the images show skulls to a model that has
            seen none.
    """
    frames = frames or {}
    empty = {name: reason for name, image in given.items() if (reason := absence(sitk.GetArrayViewFromImage(image)))}
    images = {name: image for name, image in given.items() if name not in empty}
    reference = _reference(case, images, options)
    orientation = target.orientation or orientation_of(images[reference])
    turned = {name: _turned(image, orientation) for name, image in images.items()}
    fixed = turned[reference]
    grid = grid_of(fixed)
    edges = Edges.of(fixed) if len(images) > 1 and kind_of(reference) in MR_KINDS else None
    fates: dict[str, Fate] = {name: Fate(ABSENT, None, (reason,)) for name, reason in empty.items()}
    transforms: dict[str, sitk.Transform] = {}
    prepared: dict[str, sitk.Image] = {}
    for name, image in turned.items():
        what = f"Case '{case}': {name}"
        same_frame = frames.get(name) is not None and frames.get(name) == frames.get(reference)
        became, transform, found = _way(what, reference, fixed, image, name == reference, same_frame, options)
        transforms[name] = transform
        untouched = became in (REFERENCE, SAME_GRID)
        prepared[name] = _with_grid(image, fixed) if untouched else resampled_image(image, grid, transform)
        if absence(sitk.GetArrayViewFromImage(prepared[name])):
            raise DataError(
                f"{what} has nothing where {reference} lies: by its header it is elsewhere, which is believed. If the "
                "header is wrong, have it registered (without --no-registration), or leave its modality empty in "
                "series.csv and give the table back with --series."
            )
        if became == REGISTERED and found is not None:
            doubt = doubtful(found)
        else:
            doubt = hardly_overlaps(common_share(image, prepared[name], fixed))
        if not doubt and edges is not None and name != reference and kind_of(name) in MR_KINDS:
            doubt = _another_head(edges, prepared[name])
        fates[name] = Fate(became, found, _notes(name, images, same_frame, became), doubt)
    result = PreparedCase(
        case,
        prepared,
        reference,
        transforms,
        {name: grid_of(image) for name, image in images.items()},
        {name: fates[name] for name in given},
    )
    return _finished(result, target, options, mask)


def _another_head(reference: Edges, image: sitk.Image) -> str:
    own = Edges.of(image)
    return "" if own is None else another_head(edges_in_common(reference, own))


def _turned(image: sitk.Image, orientation: str) -> sitk.Image:
    return image if orientation_of(image) == orientation else reoriented(image, orientation)


def _finished(prepared: PreparedCase, target: Target, options: IntakeOptions, mask: sitk.Image | None) -> PreparedCase:
    """Skulls and bias fields."""
    case, images = prepared.case, prepared.images
    if options.strip is not None:
        with tempfile.TemporaryDirectory() as scratch:
            mask = options.strip.mask(images[prepared.reference], case, Path(scratch))
    elif mask is not None:
        mask = _mask_on_reference(prepared, mask, f"Case '{case}': the mask {options.mask}")
    if mask is not None:
        images = {name: masked(image, mask) for name, image in images.items()}
        _require_kept(images, f"Case '{case}': the mask {options.mask or 'of --strip'}")
    fates = prepared.fates
    if options.common_brain or (target.zero_background is not False and not options.keep_background):
        images, fates = _in_one_brain(replace(prepared, images=images), options, mask is not None)
    skulls = {}
    if target.zero_background:
        reasons = {name: not_like_training(image, target.litres) for name, image in images.items()}
        skulls = {name: reason for name, reason in reasons.items() if reason}
    if skulls and not options.keep_background:
        name, reason = next(iter(skulls.items()))
        raise DataError(
            f"Case '{case}': {name}: {reason}, but the model's training images are zero around the head, as they are "
            "without skull. Take the skull off with --strip PROGRAM, or give a mask with --mask; if the image is meant "
            "so, use --keep-background."
        )
    if options.n4:
        images = {name: without_bias(image) for name, image in images.items()}
    return PreparedCase(case, images, prepared.reference, prepared.transforms, prepared.grids, fates, skulls)


def _require_kept(images: Mapping[str, sitk.Image], what: str) -> None:
    """An image of which a mask keeps nothing would be a modality that the case lacks."""
    for name, image in images.items():
        if absence(sitk.GetArrayViewFromImage(image)):
            raise DataError(
                f"{what} keeps nothing of {name}; expected is one of the brain. Look at it, and where the image lies."
            )


def _in_one_brain(
    prepared: PreparedCase, options: IntakeOptions, is_masked: bool
) -> tuple[dict[str, sitk.Image], dict[str, Fate]]:
    """Images and fates; one mask for all has made one brain already, if no image is smaller."""
    images, fates = prepared.images, prepared.fates
    whole_heads = {name: reason for name, image in images.items() if (reason := not_like_training(image, None))}
    if whole_heads and options.common_brain:
        name, reason = next(iter(whole_heads.items()))
        raise DataError(
            f"Case '{prepared.case}': {name}: {reason}, but --common-brain takes images that are zero around the head, "
            "as they are without skull. Leave the flag out, or take the skull off with --strip PROGRAM."
        )
    if whole_heads:
        return images, fates
    if not is_masked:
        resampled = [name for name in images if fates[name].became in (RESAMPLED, REGISTERED)]
        images, done = in_one_brain(images, prepared.reference, resampled, options.common_brain)
        fates = _noted(fates, done)
    return images, _noted(fates, told_zeros(images))


def _noted(fates: Mapping[str, Fate], notes: Mapping[str, str]) -> dict[str, Fate]:
    """Fates with further notes, those that say something."""
    noted = dict(fates)
    for name, note in notes.items():
        if note:
            noted[name] = replace(noted[name], notes=(*noted[name].notes, note))
    return noted


def _reference(case: str, images: Mapping[str, sitk.Image], options: IntakeOptions) -> str:
    if not images:
        raise DataError(f"Case '{case}' has no image that is not empty or constant.")
    if options.reference:
        there = [name for name in options.reference if name in images]
        if not there:
            raise DataError(
                f"Case '{case}' has none of the references {', '.join(options.reference)}; it has {', '.join(images)}. "
                "Name one of these with --reference too, or leave the flag out, which takes the finest image."
            )
        return there[0]
    # Rounded, since headers round in different places; of equal ones that with the larger field of view.
    volumes = {name: round(float(np.prod(image.GetSpacing())), 4) for name, image in images.items()}
    return min(images, key=lambda name: (volumes[name], -images[name].GetNumberOfPixels()))


def _way(
    what: str,
    reference: str,
    fixed: sitk.Image,
    image: sitk.Image,
    is_reference: bool,
    same_frame: bool,
    options: IntakeOptions,
) -> tuple[str, sitk.Transform, Registration | None]:
    """What becomes of an image, its transform, and what registration found."""
    if is_reference:
        return REFERENCE, sitk.Euler3DTransform(), None
    if grid_of(image).difference(grid_of(fixed)) is None:
        return SAME_GRID, sitk.Euler3DTransform(), None
    if not options.register:
        return RESAMPLED, sitk.Euler3DTransform(), None
    small = too_small(fixed, image)
    if small is not None and same_frame:
        return RESAMPLED, sitk.Euler3DTransform(), None
    if small is not None:
        raise DataError(f"{what} cannot be registered to {reference}: {small}. {REMEDY}")
    found = register(fixed, image)
    problem = implausible(found)
    if problem is None:
        return (REGISTERED, found.transform, found) if gains(found) else (RESAMPLED, sitk.Euler3DTransform(), found)
    if same_frame:
        return RESAMPLED, sitk.Euler3DTransform(), found
    raise DataError(f"{what} cannot be registered to {reference}: {problem}. {REMEDY}")


def _notes(name: str, images: Mapping[str, sitk.Image], same_frame: bool, became: str) -> tuple[str, ...]:
    notes = []
    others = {other: sitk.GetArrayViewFromImage(image) for other, image in images.items() if other != name}
    doubt = doubts(sitk.GetArrayViewFromImage(images[name]), others)
    if doubt:
        notes.append(doubt)
    tilt = obliqueness(images[name])
    if tilt > OBLIQUE:
        notes.append(f"its axes lie {tilt:.0f} degrees off those of the patient; the nearest ones are taken")
    if became == RESAMPLED and same_frame:
        notes.append("it shares the frame of reference with the reference, and registration is no better")
    return tuple(notes)


def _with_grid(image: sitk.Image, fixed: sitk.Image) -> sitk.Image:
    """The image itself with the reference's header: rounded in one place, all of a case agree to the last bit."""
    result = sitk.Image(image)
    result.CopyInformation(fixed)
    return result


def _mask_on_reference(prepared: PreparedCase, mask: sitk.Image, what: str) -> sitk.Image:
    """A mask that was drawn on one of the images as it was, on the reference's grid; what: the start of an error."""
    if mask.GetDimension() != 3:
        raise DataError(f"{what} has {mask.GetDimension()} axes; expected is a 3D mask.")
    mask = given_mask(mask, what)
    turned = grid_of(reoriented(mask, orientation_of(prepared.images[prepared.reference])))
    if turned.difference(prepared.grid) is None:
        return sitk.Resample(mask, prepared.images[prepared.reference], sitk.Transform(), sitk.sitkNearestNeighbor)
    for name, grid in prepared.grids.items():
        if grid_of(mask).difference(grid) is None:
            like = prepared.images[prepared.reference]
            return sitk.Resample(mask, like, prepared.transforms[name], sitk.sitkNearestNeighbor)
    difference = grid_of(mask).difference(prepared.grids[prepared.reference], prepared.reference)
    raise DataError(f"{what} lies on the grid of none of the images: {difference}. Give the mask of one of them.")
