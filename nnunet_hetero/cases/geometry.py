"""Where the voxels of an image lie, as nnU-Net's reader says, and whether two images lie on one grid.

A NIfTI header says it up to three times (sform, qform, pixdim), and readers choose differently. There is one rule for
all commands: what counts is what the reader of the plans takes, and for the converters nnU-Net's default, ITK. What
ITK cannot read, a sheared grid, is refused; where the header contradicts itself the user is told, see `header_doubts`.
"""

from __future__ import annotations

import itertools
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from nibabel.spatialimages import HeaderDataError

from nnunet_hetero.cases.image_files import GZIP, is_nifti, read_header
from nnunet_hetero.errors import DataError, SettingsError

TOLERANCE = 0.05
"""Two grids count as one if no voxel of the one lies farther from its counterpart than this, in edges of a voxel.

The only tolerance of positions, spacings and directions. Toolkits round headers in different places, which moves voxels
by up to a few hundredths of an edge at the far end of a volume; images of another grid are off by far more."""

ROUNDING = 1e-4
"""Deviations up to here, in edges of a voxel, are rounding of the header's float32 and not worth a word."""

MILLIMETRES = {"meter": 1000.0, "micron": 0.001}
"""Units that a NIfTI header may count in, as nibabel calls them; ITK heeds them."""

PARTS = ("spacing", "direction", "origin")
SHEARED = (
    "its axes are not at right angles (a sheared grid), which ITK cannot read. Resample it to a grid without shear, or "
    "mend sform and qform in its header."
)


@dataclass(frozen=True, eq=False)
class Geometry:
    """A grid in space, in ITK's terms: axes in the order of the file, positions in mm, left, posterior, superior (LPS).

    Args:
        shape: Number of voxels along each axis, (I, J, K).
        spacing: Edges of a voxel, mm, (3,).
        direction: Direction cosines of the axes, one a column, (3, 3).
        origin: Centre of the first voxel, mm, (3,).
    """

    shape: tuple[int, ...]
    spacing: np.ndarray
    direction: np.ndarray
    origin: np.ndarray

    @property
    def affine(self) -> np.ndarray:
        """Voxel index to position in mm, left, posterior, superior, (4, 4)."""
        affine = np.eye(4)
        affine[:3, :3] = self.direction * self.spacing
        affine[:3, 3] = self.origin
        return affine

    @property
    def ras_affine(self) -> np.ndarray:
        """Voxel index to position in mm, right, anterior, superior, as NIfTI and nibabel count, (4, 4)."""
        return np.diag([-1.0, -1.0, 1.0, 1.0]) @ self.affine

    def displacement(self, other: Geometry) -> float:
        """How far a voxel lies at most from the voxel of the same index in another image, in edges of the latter's."""
        # Affine maps differ most at a corner; an axis of one voxel counts as two, or its thickness would not matter.
        corners = np.array([*itertools.product(*((0, max(size - 1, 1)) for size in self.shape))]).T
        homogeneous = np.vstack([corners, np.ones(corners.shape[1])])
        there = np.linalg.solve(other.affine, self.affine @ homogeneous)
        return float(np.linalg.norm((there - homogeneous)[:3], axis=0).max())

    def difference(self, other: Geometry, owner: str = "") -> str | None:
        """What makes this grid another one than ``other``, in words; None if they are one within `TOLERANCE`.

        Args:
            other: The grid to compare with.
            owner: Whose grid that is, for the words.
        """
        of = f" of {owner}" if owner else ""
        if self.shape != other.shape:
            return f"shape {self.shape} instead of {other.shape}{of}"
        apart = self.displacement(other)
        if apart <= TOLERANCE:
            return None
        part = max(PARTS, key=lambda name: replace(other, **{name: getattr(self, name)}).displacement(other))
        unit = "" if part == "direction" else " mm"
        return (
            f"{part} {numbers(getattr(self, part))}{unit} instead of {numbers(getattr(other, part))}{unit}{of}, which "
            f"puts voxels up to {apart:.3g} voxel edges apart (up to {TOLERANCE:g} counts as one grid)"
        )

    def deviation(self, other: Geometry) -> str | None:
        """How far two grids that count as one are apart, in words; None if it is rounding."""
        apart = self.displacement(other)
        return (
            f"up to {apart:.2g} of a voxel edge (up to {TOLERANCE:g} counts as one grid)" if apart > ROUNDING else None
        )

    def problem(self) -> str | None:
        """Why this is no grid that images can lie on, in words; None if it is one."""
        finite = all(np.all(np.isfinite(getattr(self, part))) for part in PARTS)
        if not finite or np.any(self.spacing <= 0) or abs(np.linalg.det(self.direction)) < 1e-6:
            return (
                f"it has no valid grid: spacing {numbers(self.spacing)} mm, direction {numbers(self.direction)}, "
                f"origin {numbers(self.origin)} mm. Repair its header."
            )
        left, _, right = np.linalg.svd(self.direction)
        return SHEARED if self.displacement(replace(self, direction=left @ right)) > TOLERANCE else None


def numbers(array: np.ndarray) -> str:
    """Numbers for a message, with as many digits as float32 has."""
    return "(" + ", ".join(f"{value:.7g}" for value in np.round(np.ravel(array), 6) + 0.0) + ")"


def reader_geometry(shape: Sequence[int], properties: Mapping[str, Any]) -> Geometry:
    """The grid of an image as one of nnU-Net's readers gives it.

    Args:
        shape: Of the array, (z, y, x).
        properties: The reader's; SimpleITK's and nibabel's readers place the image in space, those of TIFF and PNG do
            not.
    """
    size = tuple(shape[::-1])
    spacing = np.array(properties["spacing"], float)[::-1]
    if "sitk_stuff" in properties:
        stored = properties["sitk_stuff"]
        axes = len(stored["spacing"])  # of 2D images two
        direction, origin = np.eye(3), np.zeros(3)
        direction[:axes, :axes] = np.reshape(stored["direction"], (axes, axes))
        origin[:axes] = stored["origin"]
        spacing[:axes] = stored["spacing"]
        return Geometry(size, spacing, direction, origin)
    if "nibabel_stuff" in properties:
        stored = properties["nibabel_stuff"]
        return _of_affine(size, spacing, stored.get("reoriented_affine", stored["original_affine"]))
    return Geometry(size, spacing, np.eye(3), np.zeros(3))


def array_properties(
    shape: Sequence[int], spacing: Sequence[float] | None, affine: np.ndarray | None = None
) -> dict[str, Any]:
    """What nnU-Net's reader would say of an array that was not read from a file.

    Args:
        shape: Of the array.
        spacing: Edges of a voxel in mm, in the order of the axes; may be None if there is an affine.
        affine: Index to position in mm, right, anterior, superior, (4, 4); None if nobody knows.

    Raises:
        SettingsError: If neither is given, they are no such numbers, or they contradict each other.
    """
    if affine is not None:
        grid = _of_array_affine(tuple(shape), np.asarray(affine, float))
        edges = grid.spacing[::-1]
        if spacing is not None and not np.allclose(np.asarray(spacing, float), edges, rtol=TOLERANCE / 10):
            raise SettingsError(
                f"The spacing is {tuple(spacing)} mm, that of the affine {numbers(edges)} mm. Leave the spacing out."
            )
        place = {name: tuple(np.ravel(getattr(grid, name)).tolist()) for name in PARTS}
        return {"spacing": edges.tolist(), "sitk_stuff": place}
    if spacing is None or len(spacing) != 3 or not all(edge > 0 for edge in spacing):
        raise SettingsError(
            f"The spacing is {spacing}. With arrays, give the edges of a voxel in mm, in the order of the axes, e.g. "
            "spacing=(1.0, 1.0, 1.0); or, with an affine, none."
        )
    return {"spacing": [float(edge) for edge in spacing]}


def _of_array_affine(shape: tuple[int, ...], affine: np.ndarray) -> Geometry:
    if affine.shape != (4, 4) or not np.isfinite(affine).all():
        raise SettingsError(f"The affine is {affine.tolist()}; it must be 4 x 4 numbers, as nibabel's image.affine.")
    # Arrays of nnU-Net and SimpleITK have the axes of a file backwards.
    backwards = affine[:, [2, 1, 0, 3]]
    grid = _of_affine(shape[::-1], np.linalg.norm(backwards[:3, :3], axis=0), backwards)
    problem = grid.problem()
    if problem:
        raise SettingsError(f"The affine cannot be used: {problem}")
    return grid


def _of_affine(shape: tuple[int, ...], spacing: np.ndarray, ras_affine: np.ndarray) -> Geometry:
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras_affine
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    return Geometry(shape, spacing, affine[:3, :3] / np.where(edges > 0, edges, 1), affine[:3, 3])


def read_geometry(file: str | os.PathLike) -> Geometry:
    """The grid of a NIfTI or MetaImage file as ITK reads it; of a 4D file that of one volume.

    Raises:
        DataError: If ITK cannot read the header, or the grid is sheared or not valid.
    """
    file = Path(file)
    shown = sitk.ProcessObject.GetGlobalWarningDisplay()
    sitk.ProcessObject.SetGlobalWarningDisplay(False)  # what it warns of is told by `header_doubts`
    try:
        with tempfile.TemporaryDirectory() as folder:
            reader = sitk.ImageFileReader()
            reader.SetFileName(str(alone(file, Path(folder))))
            reader.ReadImageInformation()
    except (RuntimeError, OSError) as error:
        if "orthonormal" in str(error):
            raise DataError(f"{file} cannot be used: {SHEARED}") from error
        raise DataError(
            f"{file} cannot be read: it is damaged or in another format. Copy or export it again."
        ) from error
    finally:
        sitk.ProcessObject.SetGlobalWarningDisplay(shown)
    axes = reader.GetDimension()
    direction = np.eye(3)
    kept = min(axes, 3)
    direction[:kept, :kept] = np.reshape(reader.GetDirection(), (axes, axes))[:3, :3]
    spacing, origin = np.ones(3), np.zeros(3)
    spacing[:kept], origin[:kept] = reader.GetSpacing()[:3], reader.GetOrigin()[:3]
    geometry = Geometry(tuple(reader.GetSize()[:3]), spacing, direction, origin)
    problem = geometry.problem()
    if problem:
        raise DataError(f"{file} cannot be used: {problem}")
    return geometry


def alone(file: Path, folder: Path) -> Path:
    """A NIfTI file under a name that says what it is, with no other beside: ITK looks at ``X.nii`` when asked for
    ``X.nii.gz``, and does not know every spelling of an ending.

    Args:
        file: Path; of another format it is given back as it is.
        folder: An empty folder for the link.
    """
    if not is_nifti(file):
        return file
    with open(file, "rb") as stream:
        link = folder / ("image.nii.gz" if stream.read(len(GZIP)) == GZIP else "image.nii")
    try:
        link.symlink_to(file.resolve())
    except OSError:  # Windows, without the right to make links
        link.write_bytes(file.read_bytes())
    return link


def header_doubts(file: str | os.PathLike, used: Geometry) -> str | None:
    """What is doubtful in a NIfTI header, in words; None for a header that says one thing, and for other formats.

    Args:
        file: The image.
        used: The grid that was taken from it.
    """
    if not is_nifti(file):
        return None
    header = read_header(file)
    spacing = numbers(used.spacing)
    if header["sform_code"] <= 0 and header["qform_code"] <= 0:
        return f"its header has neither sform nor qform, so position and orientation are unknown; spacing {spacing} mm"
    affines = [affine for affine in (_form(header, "sform"), _form(header, "qform")) if affine is not None]
    for affine in affines:
        other = np.linalg.norm(affine[:3, :3], axis=0)
        # Of a 2D image nnU-Net's third edge stands for nothing, and so does that of the affine.
        other = np.where(np.arange(3) < header["dim"][0], other, used.spacing)
        if _differs(used, other):
            return (
                f"its header has two spacings, {spacing} and {numbers(other)} mm; the former is taken, as nnU-Net does"
            )
    if len(affines) == 2:
        one, two = (_of_affine(used.shape, used.spacing, affine) for affine in affines)
        if one.problem() or one.displacement(two) > TOLERANCE:
            is_sform = not one.problem() and used.displacement(one) <= used.displacement(two)
            taken = "sform" if is_sform else "qform"
            return f"sform and qform in its header differ; the {taken} counts, as for nnU-Net's reader"
    return None


def _form(header: nibabel.Nifti1Header, name: str) -> np.ndarray | None:
    """The affine, in mm."""
    try:
        affine = getattr(header, f"get_{name}")(coded=True)[0]
    except HeaderDataError:  # a quaternion that is none
        return None
    unit = MILLIMETRES.get(_unit(header), 1.0)
    return affine if affine is None else np.diag([unit, unit, unit, 1.0]) @ affine


def _unit(header: nibabel.Nifti1Header) -> str:
    try:
        return header.get_xyzt_units()[0]
    except KeyError:  # a code that is none
        return "unknown"


def _differs(used: Geometry, spacing: np.ndarray) -> bool:
    if np.any(spacing <= 0):
        return True
    return replace(used, spacing=spacing).displacement(used) > TOLERANCE
