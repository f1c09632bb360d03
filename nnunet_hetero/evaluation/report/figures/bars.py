"""Bars: what each modality brings, and every subset with every method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from nnunet_hetero.evaluation.report.figures.common import (
    DARK,
    METHOD_COLOURS,
    colours,
    draw_dots,
    height_of_names,
    legend_below,
    size_changes,
    without_frame,
)

_GRID = "#dde3e9"


def gain_bars(gains: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Average gain when a modality is added to a subset that lacks it.

    Args:
        gains: By modality and region, the gain in % Dice for every pair of subsets that differ in this modality; NaN
            where there is none. The bar is their mean, each pair is a dot.
    """
    regions = list(next(iter(gains.values())))
    width = 0.8 / len(regions)
    figure = Figure(figsize=(max(4.5, 0.8 + len(gains) * (0.5 + 0.42 * len(regions))), 3.6), layout="constrained")
    axes = figure.subplots()
    for number, (region, colour) in enumerate(zip(regions, colours(len(regions)), strict=True)):
        for place, of_region in enumerate(gains.values()):
            values = of_region[region][~np.isnan(of_region[region])]
            x = place + (number - (len(regions) - 1) / 2) * width
            mean = values.mean() if values.size else 0
            label = region if place == 0 else None
            axes.bar(x, mean, 0.9 * width, color=colour, edgecolor=DARK, linewidth=0.6, label=label)
            spread = x + np.linspace(-0.25, 0.25, values.size) * width if values.size > 1 else [x] * values.size
            axes.plot(spread, values, "o", markersize=3, color=DARK, alpha=0.55, markeredgewidth=0)
    axes.axhline(0, color=DARK, linewidth=0.8)
    axes.set_xticks(range(len(gains)), [f"+ {name}" for name in gains])
    axes.set_ylabel("gain in Dice, percentage points")
    axes.yaxis.grid(True, color=_GRID)
    axes.set_axisbelow(True)
    axes.tick_params(axis="x", length=0)
    for side in ("top", "right", "bottom"):
        axes.spines[side].set_visible(False)
    legend_below(figure, regions)
    return figure


def method_bars(
    modalities: Sequence[str],
    available: Sequence[Sequence[bool]],
    methods: Sequence[str],
    values: Mapping[str, np.ndarray],
    unit: str,
) -> Figure:
    """Every subset with every method, one panel per region.

    Args:
        modalities: Names, in channel order.
        available: By subset, whether each modality is given.
        methods: Names.
        values: By region (subsets, methods), NaN where there is none.
        unit: Label of the axes.
    """
    number = len(methods)
    height = len(available) * (0.14 + 0.12 * number) + 1.2 + height_of_names(modalities)
    width = 0.5 * len(modalities) + 2.6 * len(values)
    figure = Figure(figsize=(max(width, 5), height), layout="constrained")
    ratios = [0.38 * len(modalities), *[2.4] * len(values)]
    dots, *panels = figure.subplots(1, 1 + len(values), sharey=True, width_ratios=ratios)
    draw_dots(dots, modalities, available)
    rows = np.arange(len(available))
    limit = 1.03 * max((np.nanmax(part, initial=0) for part in values.values()), default=0) or 1
    for axes, (region, of_region) in zip(panels, values.items(), strict=True):
        for place, method in enumerate(methods):
            axes.barh(
                rows + (place - (number - 1) / 2) * 0.8 / number,
                np.nan_to_num(of_region[:, place]),
                0.8 / number,
                color=METHOD_COLOURS[place % len(METHOD_COLOURS)],
                hatch="//" if place >= len(METHOD_COLOURS) else None,
                label=method if region == next(iter(values)) else None,
            )
        axes.set_xlim(0, limit)
        axes.set_title(region, fontsize="medium", color=DARK)
        axes.set_xlabel(unit)
        axes.xaxis.grid(True, color=_GRID)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        for row in size_changes(available):
            axes.axhline(row + 0.5, color="#9aa5b1", linewidth=0.6)
    dots.set_ylim(len(available) - 0.5, -0.5)
    without_frame(dots)
    legend_below(figure, methods)
    return figure
