"""From the slices of a DICOM series to a NIfTI file, by dcm2niix, and the proof that it lies where the headers say."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_hetero.cases.geometry import TOLERANCE, Geometry, numbers, read_geometry
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.extra import require
from nnunet_hetero.intake.dicom.scan import files_of
from nnunet_hetero.intake.dicom.stack import Stack, stack_of
from nnunet_hetero.intake.dicom.values import number
from nnunet_hetero.intake.files.tree import Tree, unpack

PATIENCE = 1800
"""Seconds for one series."""

DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT = "1.2.840.10008.1.2.1"
"""Transfer syntaxes: one that dcm2niix does not read, and the one that is written in its place."""

PREAMBLE = 128
"""Bytes before the first element of a file; some programs leave them out."""

UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2")
"""Transfer syntaxes in which the length of the voxels is known."""


def convert(tree: Tree, uid: str, scratch: Path) -> Path:
    """Convert a series.

    Args:
        tree: The folder or zip that holds it.
        uid: SeriesInstanceUID.
        scratch: An empty folder.

    Returns:
        The NIfTI file, in ``scratch``.

    Raises:
        DataError: If the slices make no volume (see `stack_of`), one is cut short, or what dcm2niix makes of them lies
            elsewhere than their headers say.
        SettingsError: If dcm2niix or pydicom is not installed.
    """
    stack = stack_at(tree, uid)
    folder = scratch / "slices"
    folder.mkdir(parents=True)
    in_order = _is_numbered_in_order(stack)
    for place, name in enumerate(stack.files, 1):
        file = unpack(tree, name, scratch / "unpacked")
        data = _read_whole(file, name)
        target = folder / f"{place:06d}.dcm"
        deflated = _syntax(data) == DEFLATED
        if deflated:
            data.file_meta.TransferSyntaxUID = EXPLICIT
        if not in_order:
            data.InstanceNumber = place
        if in_order and not deflated and data.preamble:
            _link(file, target)
        else:
            data.preamble = data.preamble or bytes(PREAMBLE)  # dcm2niix looks for what stands behind it
            data.save_as(target)
    made = _run(folder, scratch)
    _require_same_grid(read_geometry(made), stack.geometry)
    return made


def stack_at(tree: Tree, uid: str) -> Stack:
    """The slices of a series in a folder or zip, in order.

    Raises:
        DataError: If it is not there, or makes no volume.
    """
    files = files_of(tree, uid)
    if not files:
        raise DataError(f"{tree.root} has no series {uid} any more.")
    return stack_of(files)


def _is_numbered_in_order(stack: Stack) -> bool:
    """Whether slices are numbered as they lie: dcm2niix may take others, as of an interleaved acquisition, for 4D."""
    numbered = [number(one.header, "InstanceNumber") or 0.0 for one in stack.slices if one.alone]
    steps = np.diff(numbered)
    return bool(np.all(steps > 0) or np.all(steps < 0))


def _read_whole(file: Path, name: str) -> Any:
    pydicom = require("pydicom", "A case has DICOM files; reading them")
    try:
        data = pydicom.dcmread(file, force=True)
        found = len(data.get("PixelData") or b"")
    except Exception as error:  # pydicom has no class for what it may raise of a damaged file
        raise DataError(f"{name} cannot be read to its end ({error}). Copy or export it again.") from error
    if not found:
        raise DataError(f"{name} has no voxels. Copy or export it again.")
    expected = _bytes_of(data)
    if _syntax(data) in (*UNCOMPRESSED, DEFLATED) and found < expected:
        raise DataError(f"{name} is cut short: {found} of {expected} bytes of voxels. Copy or export it again.")
    return data


def _syntax(data: Any) -> str:
    return str(getattr(data.file_meta, "TransferSyntaxUID", UNCOMPRESSED[0]))


def _bytes_of(data: Any) -> int:
    sizes: Sequence[float] = [
        number(data, name) or 1 for name in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames")
    ]
    return int(np.prod(sizes) * (number(data, "BitsAllocated") or 8) / 8)


def _link(file: Path, link: Path) -> None:
    try:
        link.symlink_to(file.resolve())
    except OSError:  # Windows, without the right to make links
        shutil.copyfile(file, link)


def _run(folder: Path, scratch: Path) -> Path:
    program = require("dcm2niix", "A case has DICOM files; converting them").bin
    out = scratch / "converted"
    out.mkdir()
    # No sidecars, no packing, values as stored; -m y: one volume, whatever else the series differs in.
    command = [program, "-b", "n", "-z", "n", "-l", "o", "-m", "y", "-f", "image", "-o", str(out), str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired as error:
        raise DataError(f"dcm2niix has not converted the series within {PATIENCE // 60} minutes.") from error
    made = sorted(out.glob("*.nii"))
    if done.returncode or len(made) != 1:
        said = " ".join((done.stderr or done.stdout).split())[-300:]
        raise DataError(
            f"dcm2niix made {len(made)} images of the series, expected is one (exit code {done.returncode}: {said}). "
            "Convert it to NIfTI yourself, and give the file."
        )
    return made[0]


def _require_same_grid(made: Geometry, expected: Geometry) -> None:
    """The corners of both grids are the same points; axes may be ordered and turned round in another way."""
    ours, theirs = _corners(expected), _corners(made)
    distances = np.linalg.norm(ours[:, None] - theirs[None], axis=2).min(axis=1)
    if sorted(made.shape) != sorted(expected.shape) or distances.max() > TOLERANCE * float(expected.spacing.min()):
        raise DataError(
            f"dcm2niix puts the series elsewhere than its headers say: shape {made.shape}, first voxel at "
            f"{numbers(made.origin)} mm; expected {expected.shape}, {numbers(expected.origin)} mm. Corners are up to "
            f"{distances.max():.3g} mm apart. Convert it to NIfTI yourself, check it, and give the file."
        )


def _corners(grid: Geometry) -> np.ndarray:
    """Centres of the voxels at the corners, mm, (8, 3)."""
    ends = np.array(grid.shape) - 1
    indices = np.array([*itertools.product((0, 1), repeat=3)]) * ends
    return indices @ grid.affine[:3, :3].T + grid.origin
