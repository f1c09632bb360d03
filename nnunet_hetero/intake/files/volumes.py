"""A file of a format with a header of its own, read as one whole volume or refused."""

from __future__ import annotations

import tempfile
from pathlib import Path

import SimpleITK as sitk

from nnunet_hetero.cases.geometry import alone, read_geometry
from nnunet_hetero.cases.image_files import is_nifti, read_nifti, require_whole, with_decimals
from nnunet_hetero.cases.image_values import require_usable
from nnunet_hetero.cases.naming.neighbours import refuse_mixture
from nnunet_hetero.errors import DataError


def read_volume(file: Path, what: str, remedy: str = "") -> sitk.Image:
    """Read an image, a mask or a map.

    ITK alone would fill what is cut off with zeros, take the voxels from ``X.nii`` when asked for ``X.nii.gz``, and
    read NaN as zero, all without a word.

    Args:
        file: NIfTI, NRRD or MetaImage.
        what: Case and file, the start of an error.
        remedy: What to do about values that cannot be computed with, if not to replace them.

    Returns:
        3D, one value per voxel, all finite.

    Raises:
        DataError: If it is not there, is damaged or cut short, is not 3D, has several values per voxel, or values that
            cannot be computed with; or if another file beside it could be read in its stead.
    """
    if file.is_symlink() and not file.exists():
        raise DataError(f"{what} is a link to {file.readlink()}, which is not there. Put the image itself there.")
    if not file.is_file():
        state = "no regular file; expected is an image" if file.exists() else "not there any more"
        raise DataError(f"{what}: {file} is {state}.")
    refuse_mixture(file, what)
    stored = read_nifti(file, what) if is_nifti(file) else None
    if stored is None:
        require_whole(file, what)
    image = _read(file, what)
    if image.GetDimension() == 4 and image.GetSize()[3] == 1:
        image = image[:, :, :, 0]
    if image.GetDimension() != 3:
        instead = (
            "Save one of its volumes as a file of its own" if image.GetDimension() > 3 else "Give the whole volume"
        )
        raise DataError(
            f"{what} has {image.GetDimension()} axes, of sizes {image.GetSize()}; expected is one 3D image. {instead}."
        )
    if image.GetNumberOfComponentsPerPixel() > 1:
        raise DataError(
            f"{what} has {image.GetNumberOfComponentsPerPixel()} values per voxel, as colours or vectors; expected is "
            "one. Save the grey values."
        )
    scaled = None if stored is None else with_decimals(stored)
    if scaled is not None:
        require_usable(scaled, what, remedy=remedy)
    require_usable(sitk.GetArrayViewFromImage(image), what, reverse=True, remedy=remedy)
    return image


def _read(file: Path, what: str) -> sitk.Image:
    with tempfile.TemporaryDirectory() as link:
        try:
            return sitk.ReadImage(str(alone(file, Path(link))))
        except RuntimeError:
            pass
    read_geometry(file)  # says what is wrong with the header
    raise DataError(f"{what} cannot be read: it is damaged or in another format. Copy or export it again.")
