"""Reading and checking of NIfTI and MetaImage files, and writing of NIfTI."""

from __future__ import annotations

import functools
import gzip
import re
from pathlib import Path

import nibabel
import numpy as np

from nnunet_hetero.cases.geometry import Geometry, read_geometry
from nnunet_hetero.cases.image_files import READING_ERRORS, is_nifti, read_nifti
from nnunet_hetero.cases.image_values import require_usable
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import replace_bytes


def read_image(path: Path, volume: int | None = None) -> tuple[np.ndarray, Geometry]:
    """Read a 3D image and check that its voxels can be used.

    Args:
        path: A ``.nii``, ``.nii.gz``, ``.mha`` or ``.mhd`` file.
        volume: Which volume of a 4D NIfTI file to read, counted from 0; None for a 3D file.

    Returns:
        Voxels in the type they are stored in (float64 where the header scales them), (I, J, K), and their grid as ITK
        and so nnU-Net reads it.

    Raises:
        DataError: If the file cannot be read to its end, is not 3D (or 4D, with `volume`), has no valid grid, or has
            values that nnU-Net cannot compute with.
    """
    if not is_nifti(path):
        data = _read_metaimage(path)
    elif volume is None:
        data = _voxels(path)
    else:
        data = _voxels_once(path, path.stat().st_mtime_ns if path.is_file() else 0)
        if data.ndim != 4 or volume >= data.shape[3]:
            raise DataError(f"{path} has shape {data.shape}; expected a 4D image with {volume + 1} volumes or more.")
        data = data[..., volume]
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim != 3:
        raise DataError(
            f"{path} is {data.ndim}D with shape {data.shape}; expected one 3D volume. Split it into one file a volume."
        )
    if 0 in data.shape:
        raise DataError(f"{path} has no voxels: its shape is {data.shape}.")
    if data.dtype.kind not in "iufb":
        raise DataError(f"{path} has data type {data.dtype}; expected integers or real numbers.")
    require_usable(data, str(path))
    return data, read_geometry(path)


def _voxels(path: Path) -> np.ndarray:
    """Voxels of a NIfTI file, (I, J, K, ...)."""
    image = read_nifti(path)
    try:
        return np.asanyarray(image.dataobj)
    except READING_ERRORS as error:
        raise DataError(f"{path} cannot be read ({error}). Copy or export it again.") from error


@functools.lru_cache(maxsize=1)
def _voxels_once(path: Path, modified: int) -> np.ndarray:
    """`_voxels` for files whose volumes are asked for one after the other."""
    return _voxels(path)


def _read_metaimage(path: Path) -> np.ndarray:
    """Voxels of a MetaImage file, (I, J, K)."""
    import SimpleITK as sitk  # late: only the oldest releases need it

    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as error:
        # What ITK says of a file that is cut short is 'No such file or directory'.
        raise DataError(
            f"{path} cannot be read as MetaImage: it is damaged, cut short or in another format. Copy or download it "
            "again."
        ) from error
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise DataError(
            f"{path} is {image.GetDimension()}D with {image.GetNumberOfComponentsPerPixel()} components a voxel; "
            "expected one 3D volume. Split it into one file a volume."
        )
    return sitk.GetArrayFromImage(image).T


def voxel_file(path: Path) -> Path | None:
    """The file beside a ``.mhd`` header that holds its voxels; None for formats of one file."""
    if path.suffix.lower() != ".mhd" or not path.is_file():
        return None
    text = path.read_text(encoding="utf-8", errors="replace")
    name = re.search(r"^ElementDataFile\s*=\s*(\S.*?)\s*$", text, re.MULTILINE)
    return path.parent / name[1] if name and name[1] != "LOCAL" else None


def encode_nifti(data: np.ndarray, affine: np.ndarray, description: str = "") -> bytes:
    """Make the content of a ``.nii.gz`` file; equal arguments give equal bytes.

    Args:
        data: Voxels, (I, J, K); the type is kept.
        affine: Voxel index to RAS position in mm, (4, 4).
        description: Text for the header, at most 79 bytes.
    """
    if data.dtype == bool or data.dtype == np.float16:  # types that NIfTI does not have
        data = data.astype(np.uint8 if data.dtype == bool else np.float32)
    image = nibabel.Nifti1Image(data, affine, dtype=data.dtype)
    # Readers differ in which of the two they trust, so both are set.
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    image.header["descrip"] = description.encode()
    return gzip.compress(image.to_bytes(), compresslevel=5, mtime=0)  # without mtime=0, the time of day is in it


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    The temporary name does not end in ``.nii.gz``, so nnU-Net never takes a torso of an interrupted run for an image.

    Raises:
        DataError: If it cannot be written, as on a full disk.
    """
    try:
        replace_bytes(path, content)
    except OSError as error:
        raise DataError(
            f"{path} cannot be written ({error.strerror}). Make room or choose another place, and run the same command "
            "again; finished cases are kept."
        ) from error
