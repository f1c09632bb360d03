"""How large a voxel is. A 2D image has no volume: nnU-Net gives it a third edge of 999 mm, which stands for nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PLACEHOLDER = 999
"""nnU-Net's third edge is this, times the largest of the others where it knows these."""

MILLILITRES, SQUARE_MILLIMETRES = "ml", "mm2"

MEASURES = {MILLILITRES: "volume", SQUARE_MILLIMETRES: "area"}
"""What is measured, in words, by its unit."""


@dataclass(frozen=True)
class VoxelSize:
    """What one voxel counts.

    Args:
        size: In `unit`; NaN if nobody knows.
        unit: `MILLILITRES`, or `SQUARE_MILLIMETRES` for a 2D image; None for a picture such as a PNG, whose pixels may
            have any size.
    """

    size: float
    unit: str | None


def is_two_dimensional(properties: Mapping[str, Any]) -> bool:
    """Whether an image is 2D, by the properties that nnU-Net's reader gives."""
    first, *others = properties["spacing"]
    # Floats: the product may be off by rounding.
    return float(first) >= (PLACEHOLDER - 0.5) * max(map(float, others))


def voxel_size(properties: Mapping[str, Any]) -> VoxelSize:
    """Size of a voxel on the case's own grid.

    Args:
        properties: Those that nnU-Net's reader gives.
    """
    edges = spacing_in_mm(properties)
    if not is_two_dimensional(properties):
        return VoxelSize(math.prod(edges) / 1000, MILLILITRES)
    area = math.prod(edges[1:])
    return VoxelSize(area, None if math.isnan(area) else SQUARE_MILLIMETRES)


def image_size(properties: Mapping[str, Any]) -> float:
    """Size of the whole image, in the unit of `voxel_size`; infinite if nobody knows how many voxels it has.

    Args:
        properties: Those that nnU-Net's preprocessing gives.
    """
    shape = properties.get("shape_before_cropping")
    return math.inf if shape is None else math.prod(map(int, shape)) * voxel_size(properties).size


def spacing_in_mm(properties: Mapping[str, Any]) -> Sequence[float]:
    """Edges of a voxel, mm, in the order of the axes; NaN for an edge that nobody knows.

    Args:
        properties: Those that nnU-Net's reader gives.
    """
    edges = [float(edge) for edge in properties["spacing"]]
    if not is_two_dimensional(properties):
        return edges
    # The readers of pictures know no spacing and give 1; those of medical formats keep what the file says.
    is_known = "sitk_stuff" in properties or edges[1:] != [1.0, 1.0]
    return [math.nan, *(edges[1:] if is_known else [math.nan, math.nan])]
