"""Reading and checking of NIfTI and MetaImage files, and writing of NIfTI."""

from __future__ import annotations

import functools
import gzip
import zlib
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError

from nnunet_hetero.cases.image_values import require_usable
from nnunet_hetero.cases.raw_dataset import ABSENT
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import replace_bytes

# mm for spacing and origin, and the same number for direction cosines. Headers are float32 and toolkits round in
# different places, so grids that are meant to be equal differ by up to about 1e-4 mm.
GRID_TOLERANCE = 1e-3


_READING_ERRORS = (OSError, EOFError, zlib.error, ValueError, HeaderDataError, ImageFileError, WrapStructError)


@dataclass(frozen=True, eq=False)
class Grid:
    """Where the voxels of an image lie.

    Args:
        shape: Number of voxels along each axis, (I, J, K).
        affine: Voxel index to RAS position in mm, (4, 4).
    """

    shape: tuple[int, ...]
    affine: np.ndarray

    @property
    def spacing(self) -> np.ndarray:
        """Voxel edges, mm, (3,)."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def direction(self) -> np.ndarray:
        """Direction cosines of the axes, one a column, (3, 3)."""
        return self.affine[:3, :3] / self.spacing

    @property
    def origin(self) -> np.ndarray:
        """RAS position of the first voxel's centre, mm, (3,)."""
        return self.affine[:3, 3]

    def difference(self, other: Grid) -> str | None:
        """Say what differs from `other` by more than `GRID_TOLERANCE`, or return None."""
        if self.shape != other.shape:
            return f"shape {self.shape} instead of {other.shape}"
        for what, unit in (("spacing", " mm"), ("origin", " mm"), ("direction", "")):
            mine, theirs = getattr(self, what), getattr(other, what)
            if np.max(np.abs(mine - theirs)) > GRID_TOLERANCE:
                return f"{what} {_numbers(mine)}{unit} instead of {_numbers(theirs)}{unit}"
        return None


def _numbers(array: np.ndarray) -> str:
    return "(" + ", ".join(f"{value:g}" for value in np.round(array.ravel(), 4) + 0.0) + ")"


def read_image(path: Path, volume: int | None = None) -> tuple[np.ndarray, Grid]:
    """Read a 3D image and check that its voxels can be used.

    Args:
        path: A ``.nii``, ``.nii.gz``, ``.mha`` or ``.mhd`` file.
        volume: Which volume of a 4D NIfTI file to read, counted from 0; None for a 3D file.

    Returns:
        Voxels in the type they are stored in (float64 where the header scales them), (I, J, K), and their grid.

    Raises:
        DataError: If the file cannot be read to its end, is not 3D (or 4D, with `volume`), has no valid grid, or has
            values that nnU-Net cannot compute with.
    """
    if path.suffix.lower() in (".mha", ".mhd"):
        data, affine = _read_metaimage(path)
    elif volume is None:
        data, affine = _read_nifti(path)
    else:
        data, affine = _read_nifti_once(path, path.stat().st_mtime_ns if path.is_file() else 0)
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
    if not np.all(np.isfinite(affine)) or abs(np.linalg.det(affine[:3, :3])) < 1e-9:
        raise DataError(f"{path} has no valid grid: its affine is {_numbers(affine[:3])}. Repair its header.")
    require_usable(data, str(path))
    return data, Grid(data.shape, affine)


def _read_nifti(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels, (I, J, K, ...), and affine, (4, 4)."""
    try:
        content = path.read_bytes()
        if content[:2] == b"\x1f\x8b":
            # Unpacking the whole file checks its length and checksum; reading the voxels alone would not.
            content = gzip.decompress(content)
        image = nibabel.Nifti1Image.from_bytes(content)
        return np.asanyarray(image.dataobj), np.asarray(image.affine, dtype=np.float64)
    except _READING_ERRORS as error:
        raise DataError(
            f"{path} cannot be read as NIfTI ({type(error).__name__}: {error}). Copy or download it again."
        ) from error


@functools.lru_cache(maxsize=1)
def _read_nifti_once(path: Path, modified: int) -> tuple[np.ndarray, np.ndarray]:
    """`_read_nifti` for files whose volumes are asked for one after the other."""
    return _read_nifti(path)


def _read_metaimage(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels, (I, J, K), and affine to RAS, (4, 4); MetaImage itself counts in LPS."""
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
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


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


def is_marked_absent(path: Path) -> bool:
    """Whether a converted image stands for an absent modality; reads its header only."""
    try:
        with gzip.open(path) as file:
            header = nibabel.Nifti1Header(file.read(348), check=False)
    except _READING_ERRORS:
        return False
    return bytes(header["descrip"]).decode(errors="replace").rstrip("\0") == ABSENT


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
