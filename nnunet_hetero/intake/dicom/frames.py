"""The frames of a DICOM Segmentation, read with pydicom and put in their places by arithmetic of our own.

What wrote the file is not asked: position, direction and edges of each frame are taken from its functional groups, as
DICOM PS3.3 C.7.6.16 defines them, and its pixels become voxels of a grid.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nnunet_hetero.cases.geometry import TOLERANCE, Geometry
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.extra import require


def read_segments(file: Path, grid: Geometry) -> dict[str, np.ndarray]:
    """The masks of a DICOM Segmentation.

    Args:
        file: Binary, one segment a frame.
        grid: Of the series that it was made for.

    Returns:
        SegmentLabel → which voxels it has, bool, (I, J, K) in the order of the grid.

    Raises:
        DataError: If a frame does not lie on the grid.
        SettingsError: If pydicom is not installed.
    """
    data = require("pydicom", "Reading a DICOM Segmentation").dcmread(file)
    names = {int(segment.SegmentNumber): str(segment.SegmentLabel) for segment in data.SegmentSequence}
    masks = {name: np.zeros(grid.shape, bool) for name in names.values()}
    pixels = np.atleast_3d(data.pixel_array) if data.pixel_array.ndim == 3 else data.pixel_array[None]
    for frame, groups in zip(pixels, data.PerFrameFunctionalGroupsSequence, strict=True):
        number = int(groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        rows, columns = np.nonzero(frame)
        i, j, k = _voxels(frame_affine(data, groups), columns, rows, grid, file)
        masks[names[number]][i, j, k] = True
    return masks


def frame_affine(data: Any, groups: Any) -> np.ndarray:
    """Column and row of a pixel to its place in mm, LPS, (3, 3): two directions, and the first pixel.

    Args:
        data: The dataset.
        groups: The frame's item of PerFrameFunctionalGroupsSequence.
    """
    cosines = np.array(_group(data, groups, "PlaneOrientationSequence").ImageOrientationPatient, float)
    between_rows, between_columns = _group(data, groups, "PixelMeasuresSequence").PixelSpacing
    first = np.array(_group(data, groups, "PlanePositionSequence").ImagePositionPatient, float)
    return np.stack([cosines[:3] * float(between_columns), cosines[3:] * float(between_rows), first], axis=1)


def sources_of(groups: Any) -> list[tuple[str, int | None]]:
    """SOPInstanceUID of each image that a frame was made from, and which of its frames, None if it is not said.

    Args:
        groups: The frame's item of PerFrameFunctionalGroupsSequence.
    """
    found = []
    for derivation in groups.get("DerivationImageSequence", ()):
        for image in derivation.get("SourceImageSequence", ()):
            frame = image.get("ReferencedFrameNumber")
            found.append((str(image.ReferencedSOPInstanceUID), None if frame is None else int(frame)))
    return found


def _group(data: Any, groups: Any, name: str) -> Any:
    """A functional group of a frame, or the one that all frames share."""
    shared = data.SharedFunctionalGroupsSequence[0]
    return (groups[name] if name in groups else shared[name]).value[0]


def _voxels(affine: np.ndarray, columns: np.ndarray, rows: np.ndarray, grid: Geometry, file: Path) -> np.ndarray:
    """Voxels of the grid at which pixels of a frame lie, (3, N)."""
    points = affine @ np.stack([columns, rows, np.ones(len(rows))])
    exact = np.linalg.solve(grid.affine[:3, :3], points - grid.origin[:, None])
    voxels = np.rint(exact).astype(int)
    inside = (voxels >= 0) & (voxels < np.array(grid.shape)[:, None])
    if not inside.all() or np.abs(exact - voxels).max(initial=0.0) > TOLERANCE:
        raise DataError(f"{file} has a frame that does not lie on the grid of its series.")
    return voxels
