"""Maps subsets × regions: the Dice of one evaluation, and the difference of two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure

from nnunet_hetero.evaluation.report.figures.common import DARK, draw_dots, height_of_names, size_changes, without_frame
from nnunet_hetero.evaluation.sweep.summary import Summary, as_number


def heat_map(summary: Summary) -> Figure:
    """Dice of every subset and region, with dots for the modalities that each subset has.

    Args:
        summary: Of an evaluation.
    """
    values = np.array([_percent((*entry.dice.values(), entry.mean)) for entry in summary.subsets], dtype=float)
    known = values[np.isfinite(values)]
    figure = _map(
        summary.modalities,
        [entry.available for entry in summary.subsets],
        [*summary.regions, "mean"],
        values,
        [_texts(row) for row in values],
        colormaps["YlGnBu"],
        Normalize(known.min(initial=100), 100),
    )
    figure.axes[1].axvline(len(summary.regions) - 0.5, color="white", linewidth=3)
    figure.supxlabel("Dice in %, mean over cases", fontsize="medium")
    return figure


def _percent(values: Iterable[float | None]) -> list[float]:
    return [100 * as_number(value) for value in values]


def _texts(values: np.ndarray) -> list[str]:
    return ["–" if np.isnan(value) else f"{value:.1f}" for value in values]


def difference_map(
    modalities: Sequence[str],
    available: Sequence[Sequence[bool]],
    regions: Sequence[str],
    values: np.ndarray,
    texts: Sequence[Sequence[str]],
    caption: str,
    higher_is_better: bool = True,
) -> Figure:
    """Mean difference of a method to the reference: blue where it is better, red where it is worse.

    Args:
        modalities: Names, in channel order.
        available: By subset, whether each modality is given.
        regions: Names.
        values: (subsets, regions), NaN where there is none.
        texts: What stands in each field.
        caption: Below the map, e.g. what minus what, and the unit.
        higher_is_better: Whether a positive difference is an improvement.
    """
    limit = max(np.abs(values[np.isfinite(values)]).max(initial=0), 1e-9)
    colours = colormaps["RdBu" if higher_is_better else "RdBu_r"]
    figure = _map(modalities, available, regions, values, texts, colours, Normalize(-limit, limit))
    figure.supxlabel(caption, fontsize="medium")
    return figure


def _map(
    modalities: Sequence[str],
    available: Sequence[Sequence[bool]],
    columns: Sequence[str],
    values: np.ndarray,
    texts: Sequence[Sequence[str]],
    colours: Colormap,
    limits: Normalize,
) -> Figure:
    width = max(1.35, 0.1 * max(map(len, columns)))
    size = (
        0.55 * len(modalities) + width * len(columns) + 0.4,
        0.33 * len(available) + 0.7 + height_of_names(modalities),
    )
    figure = Figure(figsize=(max(size[0], 4.5), size[1]), layout="constrained")
    dots, heat = figure.subplots(1, 2, sharey=True, width_ratios=[0.45 * len(modalities), width * len(columns)])
    draw_dots(dots, modalities, available)
    heat.imshow(values, aspect="auto", cmap=colours, norm=limits)
    for (row, column), value in np.ndenumerate(values):
        red, green, blue, _ = colours(limits(value))
        dark = np.isfinite(value) and 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
        heat.text(column, row, texts[row][column], ha="center", va="center", color="white" if dark else DARK)
    heat.set_xticks(range(len(columns)), columns)
    for row in size_changes(available):
        heat.axhline(row + 0.5, color="white", linewidth=3)
    without_frame(dots, heat)
    return figure
