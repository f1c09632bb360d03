"""The one orientation that all files of a converted dataset get: what most of the raw images have."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnunet_hetero.cases.geometry import Geometry
from nnunet_hetero.cases.orientation import axis_codes, stored_orientation, turned, turned_grid
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.processes import threads

from .cases import RawCase

AT_ONCE = 8


def orientations_of_raw_cases(cases: Sequence[RawCase]) -> dict[str, str]:
    """The orientation of each case's first image, by its header; of cases that can be read.

    Args:
        cases: What was found in the raw data.
    """
    with threads(AT_ONCE) as pool:
        found = dict(zip((case.name for case in cases), pool.map(_of_first_image, cases), strict=True))
    return {case: orientation for case, orientation in found.items() if orientation is not None}


def _of_first_image(case: RawCase) -> str | None:
    try:
        return next((stored_orientation(file) for file in case.images if file is not None), None)
    except DataError:  # told when the case is converted
        return None


def brought_to(orientation: str, data: np.ndarray, grid: Geometry) -> tuple[np.ndarray, Geometry]:
    """An image and its grid in another orientation, each voxel with its value and its place.

    Args:
        orientation: That of the result.
        data: Voxels, (I, J, K).
        grid: Theirs.
    """
    return turned(data, axis_codes(grid.ras_affine), orientation), turned_grid(grid, orientation)
