"""A picture that shows whether the images of a case fit: the reference with each image's edges, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import SimpleITK as sitk
from PIL import Image, ImageDraw
from skimage.feature import canny

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.intake.registration.rigid import box_corners
from nnunet_hetero.intake.registration.working import tissue_mask, working_image
from nnunet_hetero.io.console import plain

PANEL = 220
"""Pixels along the longer edge of a panel."""

GAP, LINE = 6, 16
"""Pixels between panels, and of a line of text."""

EDGE_COLOUR = (255, 210, 0)
TEXT_COLOUR = (235, 235, 235)
BACKGROUND = 24

CANNY_SIGMA = 2.0
"""Pixels that edges are smoothed by."""

LPS = "LPS"
"""The orientation that panels are cut in."""


@dataclass(frozen=True)
class MosaicRow:
    """An image to show.

    Args:
        title: What it is and what became of it.
        image: As it was.
        transform: From points of the reference to points of the image; None for one that was left in place, which is
            shown once.
    """

    title: str
    image: sitk.Image
    transform: sitk.Transform | None


def mosaic(title: str, reference: sitk.Image, rows: Sequence[MosaicRow]) -> np.ndarray:
    """Draw it: a row for each image, three planes where the headers place it, and three after registration.

    Args:
        title: Stands above.
        reference: 3D.
        rows: The other images.

    Returns:
        RGB, (height, width, 3) uint8.
    """
    extent = max(size * edge for size, edge in zip(reference.GetSize(), reference.GetSpacing(), strict=True))
    shown = working_image(reoriented(reference, LPS), extent / PANEL)
    centre = shown.TransformPhysicalPointToIndex(box_corners(tissue_mask(shown)).mean(axis=0).tolist())
    cut = [int(np.clip(place, 0, size - 1)) for place, size in zip(centre, shown.GetSize(), strict=True)]
    planes = _planes(shown, cut)
    grey = [_window(panel) for panel in _panels(planes)]
    lines = [_line(plain(title), [*grey, *([None] * 3)])]
    for row in rows:
        panels: list[np.ndarray | None] = []
        for transform in (sitk.Transform(), row.transform):
            if transform is None:
                panels += [None] * 3
                continue
            moved = [
                sitk.Resample(row.image, plane, transform, sitk.sitkLinear, 0.0, sitk.sitkFloat32) for plane in planes
            ]
            edges = [canny(_window(panel) / 255.0, CANNY_SIGMA) for panel in _panels(moved)]
            panels += [_overlaid(under, over) for under, over in zip(grey, edges, strict=True)]
        lines.append(_line(plain(row.title), panels))
    width = max(line.shape[1] for line in lines)
    padded = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=BACKGROUND) for line in lines]
    return np.concatenate(padded)


def _planes(image: sitk.Image, cut: Sequence[int]) -> list[sitk.Image]:
    """Axial, coronal and sagittal plane of an `LPS` image, as images of one voxel across."""
    x, y, z = cut
    return [image[:, :, z : z + 1], image[:, y : y + 1, :], image[x : x + 1]]


def _panels(planes: Sequence[sitk.Image]) -> list[np.ndarray]:
    """What `_planes` gives as radiologists look at it: right on the left, head up."""
    axial, coronal, sagittal = (sitk.GetArrayViewFromImage(plane) for plane in planes)
    return [axial[0], coronal[::-1, 0], sagittal[::-1, :, 0]]


def _window(panel: np.ndarray) -> np.ndarray:
    low, high = np.percentile(panel, (1, 99.5)) if panel.any() else (0.0, 1.0)
    return (np.clip((panel - low) / max(high - low, 1e-6), 0, 1) * 255).astype(np.uint8)


def _overlaid(under: np.ndarray, edges: np.ndarray) -> np.ndarray:
    colours = np.repeat(under[..., None], 3, axis=-1)
    colours[edges] = EDGE_COLOUR
    return colours


def _line(text: str, panels: Sequence[np.ndarray | None]) -> np.ndarray:
    """Text above panels, RGB."""
    there = [panel if panel is None or panel.ndim == 3 else np.repeat(panel[..., None], 3, axis=-1) for panel in panels]
    height = max(panel.shape[0] for panel in there if panel is not None)
    width = sum((PANEL if panel is None else panel.shape[1]) + GAP for panel in there) + GAP
    canvas = np.full((height + LINE + 2 * GAP, width, 3), BACKGROUND, np.uint8)
    left = GAP
    for panel in there:
        if panel is not None:
            canvas[LINE + GAP : LINE + GAP + panel.shape[0], left : left + panel.shape[1]] = panel
        left += (PANEL if panel is None else panel.shape[1]) + GAP
    picture = Image.fromarray(canvas)
    ImageDraw.Draw(picture).text((GAP, 3), text, fill=TEXT_COLOUR)
    return np.asarray(picture)
