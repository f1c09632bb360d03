"""A grid of segmented slices: per subset its worst, median and best case."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from nnunet_hetero.evaluation.report.figures.common import (
    DARK,
    bare,
    colours,
    legend_below,
    show,
    show_outlines,
    show_tint,
)
from nnunet_hetero.nnunet.regions import Region

_INCHES = 1.55
_BLOCKS = 2


@dataclass(frozen=True)
class Picture:
    """One slice.

    Args:
        title: Above it.
        image: Grey values, (Y, X).
        truth: True label map of the slice.
        prediction: Predicted label map of the slice.
        aspect: Height of a pixel over its width.
    """

    title: str
    image: np.ndarray
    truth: np.ndarray
    prediction: np.ndarray
    aspect: float = 1.0


@dataclass(frozen=True)
class OverlayRow:
    """A subset and its pictures.

    Args:
        subset: Its name, e.g. ``T1+FLAIR``.
        pictures: E.g. of its worst, median and best case.
    """

    subset: str
    pictures: tuple[Picture, ...]


def overlay_grid(rows: Sequence[OverlayRow], columns: Sequence[str], regions: Mapping[str, Region]) -> Figure:
    """Predictions as tints, the truth as outlines; two subsets side by side.

    Args:
        rows: The subsets.
        columns: What the pictures of a row are, e.g. ``worst``.
        regions: Label values by name.
    """
    blocks = min(_BLOCKS, len(rows))
    lines = -(-len(rows) // blocks)
    pictures = chain.from_iterable(row.pictures for row in rows)
    tallest = max(picture.image.shape[0] * picture.aspect / picture.image.shape[1] for picture in pictures)
    longest = max(map(len, chain.from_iterable(row.subset.split("+") for row in rows)))
    label = max(0.75, 0.2 + 0.1 * longest)
    figure = Figure(
        figsize=(blocks * (label + _INCHES * len(columns)), lines * (_INCHES * min(tallest, 1.6) + 0.3) + 0.75),
        layout=ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.01),
        facecolor="white",
    )
    ratios = [label, *[_INCHES] * len(columns)] * blocks
    grid = figure.subplots(lines, len(ratios), squeeze=False, width_ratios=ratios)
    bare(grid)
    for axes in grid.flat:
        axes.set_facecolor("none")
    for number, row in enumerate(rows):
        block, line = divmod(number, lines)
        own = grid[line, block * (len(columns) + 1) : (block + 1) * (len(columns) + 1)]
        own[0].text(0.95, 0.5, row.subset.replace("+", "+\n"), ha="right", va="center", color=DARK)
        for place, (axes, picture) in enumerate(zip(own[1:], row.pictures, strict=False)):
            show(axes, picture.image)
            show_tint(axes, picture.prediction, regions)
            show_outlines(axes, picture.truth, regions, width=0.8)
            axes.set_aspect(picture.aspect, anchor="N")
            above = f"{columns[place]}\n" if line == 0 else ""
            axes.set_title(above + picture.title, fontsize=7.5, color=DARK, pad=2)
    shades = colours(len(regions))
    handles: list[Artist] = [
        *(Patch(facecolor=colour, alpha=0.6, label=name) for name, colour in zip(regions, shades, strict=True)),
        Line2D([], [], color=DARK, linewidth=1.2, label="line: truth, tint: predicted"),
    ]
    legend_below(figure, [str(handle.get_label()) for handle in handles], handles=handles, fontsize="small")
    return figure
