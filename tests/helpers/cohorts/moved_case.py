"""Cases whose images lie on grids of their own, as from a scanner: a phantom, and some of its images moved."""

from __future__ import annotations

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.dataset_conversion.phantom import make_phantom
from nnunet_hetero.intake.images.grids import image_of, resampled_image, resampled_labels
from nnunet_hetero.intake.registration.rigid import box_corners, shifted
from nnunet_hetero.intake.target import Target
from nnunet_hetero.modalities import Modalities

FILES = {"T1": "t1", "T1c": "t1ce", "T2": "t2", "FLAIR": "flair"}
"""What the phantom calls the modalities."""

SIZE = 32
"""Voxels a side, 6 mm each."""

REGIONS = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}


@cache
def phantom_images(index: int = 1) -> dict[str, sitk.Image]:
    """The four images and ``seg``, with the labels of `REGIONS`, all on one grid of about 6 mm; do not change them."""
    phantom = make_phantom(index, SIZE, seed=3)
    phantom["seg"] = np.where(phantom["seg"] == 4, 3, phantom["seg"]).astype(phantom["seg"].dtype)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ phantom["affine"]
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    grid = Geometry((SIZE,) * 3, spacing, affine[:3, :3] / spacing, affine[:3, 3])
    names = {**FILES, "seg": "seg"}
    return {name: image_of(np.ascontiguousarray(phantom[key].T), grid) for name, key in names.items()}


def motion(image: sitk.Image, shift=(7.0, -4.0, 5.0), angles=(0.10, -0.06, 0.08)) -> sitk.Euler3DTransform:
    """From the moved patient to where he lay: a rotation about the head's middle, in radian, and a shift in mm."""
    transform = shifted(box_corners(image).mean(axis=0), np.array(shift))
    transform.SetRotation(*angles)
    return transform


def other_grid(image: sitk.Image, edges=(6.5, 6.5, 7.5)) -> Geometry:
    """A grid with other voxels over the same box."""
    own = np.array(image.GetSize()) * np.array(image.GetSpacing())
    shape = tuple(int(size) for size in np.ceil(own / np.array(edges)))
    origin = np.array(image.GetOrigin()) + np.array([1.0, -2.0, 0.5])
    return Geometry(shape, np.array(edges), np.reshape(image.GetDirection(), (3, 3)), origin)


def moved(image: sitk.Image, transform: sitk.Transform, grid: Geometry | None = None) -> sitk.Image:
    """The image as a scanner would have taken it after the patient has moved."""
    return resampled_image(image, other_grid(image) if grid is None else grid, transform)


def moved_labels(image: sitk.Image, transform: sitk.Transform) -> sitk.Image:
    """The same for a label map."""
    return resampled_labels(image, other_grid(image), transform)


def moved_case() -> dict[str, sitk.Image]:
    """Four images, of which FLAIR was taken after the patient had moved."""
    images = {name: phantom_images()[name] for name in FILES}
    return {**images, "FLAIR": moved(images["FLAIR"], motion(images["FLAIR"]))}


def write_moved_cases(folder: Path, cases=("case_a",), leave_out=()) -> None:
    """Write cases as a folder each, ``case_a/case_a_t1.nii.gz`` and so on."""
    for case in cases:
        (folder / case).mkdir(parents=True, exist_ok=True)
        for name, image in moved_case().items():
            if name not in leave_out:
                sitk.WriteImage(image, str(folder / case / f"{case}_{FILES[name]}.nii.gz"))


def brighter_half(image: sitk.Image) -> sitk.Image:
    """A mask of the tissue that is brighter than its median."""
    array = sitk.GetArrayFromImage(image)
    return image > float(np.median(array[array > 0]))


def target(**changes) -> Target:
    """What a model of these modalities wants."""
    return Target(**{"modalities": Modalities(tuple(FILES)), "orientation": "RAS", "regions": REGIONS, **changes})


def write_model_of_phantoms(tiny_model: Path, folder: Path) -> Path:
    """The tiny model's files without weights, of training images as large as the phantom."""
    folder.mkdir()
    shutil.copy(tiny_model / "dataset.json", folder)
    plans = json.loads((tiny_model / "plans.json").read_text())
    plans |= {"original_median_shape_after_transp": [26] * 3, "original_median_spacing_after_transp": [6.0] * 3}
    (folder / "plans.json").write_text(json.dumps(plans))
    return folder


def dice(one: sitk.Image, other: sitk.Image) -> float:
    """Of all that is not zero."""
    first, second = (sitk.GetArrayFromImage(image) != 0 for image in (one, other))
    return float(2 * np.count_nonzero(first & second) / (np.count_nonzero(first) + np.count_nonzero(second)))
