"""What the figures share: style, colours, dots for subsets, slices with regions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib.style
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from nnunet_hetero.nnunet.regions import Region

# Okabe and Ito's colours, which colour-blind readers can tell apart; from the outermost region to the innermost.
REGION_COLOURS = ("#56B4E9", "#F0E442", "#D55E00", "#009E73", "#CC79A7", "#0072B2", "#E69F00")
METHOD_COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
DARK = "#1f2933"


@contextmanager
def own_style() -> Iterator[None]:
    """Matplotlib's defaults while figures are made and written, whatever the process has set; also as a decorator.

    nnU-Net's figure of a training leaves seaborn's style behind, with letters so large that no axes have room.
    """
    with matplotlib.style.context("default"):
        yield


def draw_dots(axes: Axes, modalities: Sequence[str], available: Sequence[Sequence[bool]]) -> None:
    """A row of dots per subset, filled for the modalities that it has; the first row is at 0.

    Args:
        axes: Where to draw; its limits and ticks along x are set.
        modalities: Names, in channel order.
        available: Per row, whether each modality is given.
    """
    for row, flags in enumerate(available):
        for column, there in enumerate(flags):
            axes.plot(column, row, "o", markersize=9, color=DARK if there else "none", markeredgecolor=DARK)
    axes.set_xlim(-0.6, len(modalities) - 0.4)
    axes.set_xticks(range(len(modalities)), modalities, rotation=90 if _upright(modalities) else 0)
    axes.set_yticks([])


def height_of_names(modalities: Sequence[str]) -> float:
    """Inches that the names above the dots need."""
    return 0.1 + 0.09 * max(map(len, modalities)) if _upright(modalities) else 0.25


def _upright(modalities: Sequence[str]) -> bool:
    return len(modalities) > 6 or max(map(len, modalities)) > 6


def without_frame(*panels: Axes) -> None:
    """Remove ticks and borders; labels along x go to the top."""
    for axes in panels:
        axes.tick_params(length=0, labeltop=True, labelbottom=False)
        for spine in axes.spines.values():
            spine.set_visible(False)


def size_changes(available: Sequence[Sequence[bool]]) -> list[int]:
    """The rows after which the number of modalities changes."""
    return np.flatnonzero(np.diff([sum(flags) for flags in available])).tolist()


def legend_below(figure: Figure, names: Sequence[str], **options: Any) -> None:
    """A legend below the axes, with as many columns as fit side by side.

    Args:
        figure: Has a constrained layout.
        names: What stands in it.
        options: For ``Figure.legend``.
    """
    inches = [0.6 + 0.09 * len(name) for name in names]
    columns = len(names) if sum(inches) <= figure.get_figwidth() else int(figure.get_figwidth() / max(inches))
    figure.legend(loc="outside lower center", ncols=max(columns, 1), frameon=False, **options)


def window(stack: np.ndarray, margin: int = 2) -> tuple[slice, slice]:
    """The part of a slice where any image is not zero, with a margin in voxels."""
    inside = (stack != 0).any(axis=0)
    if not inside.any():
        return slice(None), slice(None)
    return _extent(inside.any(axis=1), margin), _extent(inside.any(axis=0), margin)


def _extent(there: np.ndarray, margin: int) -> slice:
    first, last = np.flatnonzero(there)[[0, -1]]
    return slice(max(int(first) - margin, 0), int(last) + margin + 1)


def show(axes: Axes, image: np.ndarray) -> None:
    """Show an image in grey."""
    # Single bright voxels must not darken the rest.
    inside = image[image != 0]
    limits = np.percentile(inside, [1, 99]) if inside.size else (0, 1)
    axes.imshow(image, cmap="gray", vmin=min(0, limits[0]), vmax=limits[1], interpolation="bilinear")


def show_regions(axes: Axes, labels: np.ndarray, regions: Mapping[str, Region]) -> None:
    """Outline regions and tint them, see `show_tint`."""
    show_tint(axes, labels, regions)
    show_outlines(axes, labels, regions)


def show_tint(axes: Axes, labels: np.ndarray, regions: Mapping[str, Region]) -> None:
    """Tint each voxel by the last region that it is in (the innermost of nested regions)."""
    tint = np.zeros((*labels.shape, 4))
    for region, colour in zip(regions.values(), colours(len(regions)), strict=True):
        tint[np.isin(labels, region)] = (*to_rgb(colour), 0.4)
    axes.imshow(tint, interpolation="nearest")


def show_outlines(axes: Axes, labels: np.ndarray, regions: Mapping[str, Region], width: float = 1.2) -> None:
    """Outline regions with lines of a width in points."""
    for region, colour in zip(regions.values(), colours(len(regions)), strict=True):
        mask = np.isin(labels, region)
        if mask.any():
            axes.contour(mask, levels=[0.5], colors=[colour], linewidths=width)


def colours(number: int) -> Sequence[str]:
    """A colour per region."""
    return [REGION_COLOURS[index % len(REGION_COLOURS)] for index in range(number)]


def bare(grid: np.ndarray) -> None:
    """Remove ticks and borders of an array of axes."""
    for axes in grid.flat:
        axes.set_xticks([])
        axes.set_yticks([])
        for spine in axes.spines.values():
            spine.set_visible(False)
