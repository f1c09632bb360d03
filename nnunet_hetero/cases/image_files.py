"""NIfTI files as they are: unpacked whatever their names say, whole or refused."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path

import nibabel
import numpy as np
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from nnunet_hetero.errors import DataError

NIFTI = (".nii", ".nii.gz")
GZIP = b"\x1f\x8b"
"""The first bytes of what gzip packed. Names lie: an unpacked file called ``.nii.gz`` is read by ITK all the same."""

HEADER_BYTES = 348
READING_ERRORS = (OSError, EOFError, zlib.error, ValueError, HeaderDataError, ImageFileError, WrapStructError)
"""What nibabel and gzip raise of a file that is not what it should be."""


def is_nifti(file: str | os.PathLike) -> bool:
    """Whether a file has the name of a NIfTI file, in small or capital letters."""
    return os.fspath(file).lower().endswith(NIFTI)


def read_nifti(file: str | os.PathLike, what: str | None = None) -> nibabel.Nifti1Image:
    """Read a NIfTI file to its end; its voxels are in memory, unscaled.

    Readers do not tell when a file is cut short: ITK fills what lacks with zeros. So the checksum of what is packed,
    and the length of what is not, are looked at here.

    Args:
        file: Path; its ending says nothing.
        what: What to call it in errors; None is its path.

    Raises:
        DataError: If it is no NIfTI-1 file, is damaged or cut short, or readers differ in its values.
    """
    try:
        content = Path(file).read_bytes()
        if not content:
            raise EOFError("the file is empty")
        if content.startswith(GZIP):
            content = gzip.decompress(content)
        if content[:2] in (b"\x1c\x02", b"\x02\x1c"):
            raise ValueError("it is NIfTI-2, which ITK does not read; save it as NIfTI-1")
        image = nibabel.Nifti1Image.from_bytes(content)
        header = nibabel.Nifti1Header(content[:HEADER_BYTES], check=False)
        _require_length(len(content), header)
    except READING_ERRORS as error:
        raise DataError(_damaged(what or file, error)) from error
    _require_one_scaling(header, what or file)
    return image


def with_decimals(image: nibabel.Nifti1Image) -> np.ndarray | None:
    """Voxels of a NIfTI file with decimals; None for whole numbers.

    Without a word, ITK reads NaN and infinite values as zeros, and the real part of complex ones.
    """
    voxels = image.dataobj
    is_scaled = isinstance(voxels, ArrayProxy) and (voxels.slope, voxels.inter) != (1, 0)
    if image.get_data_dtype().kind in "fc" or is_scaled:
        return np.asanyarray(voxels)
    return None


def read_header(file: str | os.PathLike) -> nibabel.Nifti1Header:
    """The header of a NIfTI file, without a look at the voxels.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        with open(file, "rb") as stream:
            packed = stream.read(len(GZIP)) == GZIP
        with gzip.open(file) if packed else open(file, "rb") as stream:
            return nibabel.Nifti1Header(stream.read(HEADER_BYTES), check=False)
    except READING_ERRORS as error:
        raise DataError(_damaged(file, error)) from error


def require_whole(file: str | os.PathLike, what: str | None = None) -> None:
    """Check a NIfTI file, or a packed file of any format, to its end, without keeping it in memory.

    What is cut short in other formats is told by their readers.

    Args:
        file: Path; its ending says nothing of whether it is packed.
        what: What to call it in errors; None is its path.

    Raises:
        DataError: If it is damaged or cut short, or readers differ in its values.
    """
    try:
        with open(file, "rb") as stream:
            packed = stream.read(len(GZIP)) == GZIP
        if not packed and not is_nifti(file):
            return
        length = 0
        with gzip.open(file) if packed else open(file, "rb") as stream:
            while block := stream.read(1 << 22):
                length += len(block)
        if is_nifti(file):
            header = read_header(file)
            _require_length(length, header)
            _require_one_scaling(header, what or file)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(_damaged(what or file, error)) from error


def _require_length(found: int, header: nibabel.Nifti1Header) -> None:
    voxels = int(np.prod([int(size) for size in header.get_data_shape()]))
    expected = int(header.get_data_offset()) + voxels * header.get_data_dtype().itemsize
    if found < expected:
        raise EOFError(f"it ends after {found} of {expected} bytes")


def _require_one_scaling(header: nibabel.Nifti1Header, what: str | os.PathLike) -> None:
    """A slope of 0 means values as they are stored, by NIfTI's definition; ITK adds the intercept all the same."""
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if (slope == 0 or not np.isfinite(slope)) and np.isfinite(intercept) and intercept != 0:
        raise DataError(
            f"{what} has scl_slope {slope:g}, which means values as they are stored, and scl_inter {intercept:g}, "
            "which some readers add to them. Set scl_inter to 0, or scl_slope to 1 if it is to be added."
        )


def _damaged(what: str | os.PathLike, error: Exception) -> str:
    return (
        f"{what} cannot be read ({error}): it is damaged or truncated, or in another format than its name says. "
        "Copy or download it again."
    )


def require_file(file: str | os.PathLike, what: str) -> None:
    """Refuse an image that a caller names and that is no file.

    Args:
        file: Its path.
        what: The image, for the error's text.

    Raises:
        DataError: If it is not there, or a folder.
    """
    if not os.path.isfile(file):
        state = "is a folder, not a file" if os.path.isdir(file) else "is not there"
        raise DataError(f"{what}: {os.fspath(file)} {state}. Check its path.")
