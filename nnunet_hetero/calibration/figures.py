"""Pictures of a calibration: coverage against level, and probabilities against what they came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nnunet_hetero.evaluation.report.figures.common import DARK, REGION_COLOURS, legend_below
from nnunet_hetero.reliability.temperature import calibration_error, reliability

GREY = "#9aa5b1"


def coverage_curves(levels: Sequence[float], curves: Mapping[str, Sequence[float]], chosen: float) -> Figure:
    """The share of true sizes inside of their intervals, against the level.

    Args:
        levels: Ascending, 0 to 1.
        curves: By region, the share at each level; NaN where there are too few patients.
        chosen: Level of the calibration, which is marked.
    """
    figure = Figure(figsize=(4.6, 4.6), layout="constrained")
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as promised")
    for number, (region, shares) in enumerate(curves.items()):
        axes.plot(levels, shares, color=REGION_COLOURS[number % len(REGION_COLOURS)], label=region, linewidth=2)
    axes.axvline(chosen, color=GREY, linewidth=0.8)
    axes.set(xlabel="level of the intervals", ylabel="share of true sizes inside", xlim=(0, 1), ylim=(0, 1.02))
    _plain(axes)
    legend_below(figure, ["as promised", *curves])
    return figure


def reliability_diagrams(counts: Mapping[str, np.ndarray], temperatures: Mapping[str, float]) -> Figure:
    """By region, the share of voxels near it that are inside against the probability, before and after scaling.

    Args:
        counts: By region, ``(2, BINS)``, see `nnunet_hetero.reliability.temperature.voxel_counts`.
        temperatures: By region.
    """
    figure = Figure(figsize=(3.4 * len(counts), 3.9), layout="constrained")
    for axes, (region, own) in zip(figure.subplots(1, len(counts), squeeze=False)[0], counts.items(), strict=True):
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
        kinds = (("as the network gives them", 1.0, GREY), ("scaled", temperatures[region], DARK))
        for name, temperature, colour in kinds:
            count, probability, inside = reliability(own, temperature)
            filled = count > 0
            error = 100 * calibration_error(own, temperature)
            label = f"{name}: error {error:.1f} %"
            points = probability[filled] / count[filled], inside[filled] / count[filled]
            axes.plot(*points, color=colour, marker="o", markersize=4, label=label)
        axes.set(title=region, xlabel="probability", ylabel="share inside", xlim=(0, 1), ylim=(0, 1))
        _plain(axes)
        axes.legend(fontsize=7, frameon=False, loc="upper left")
    return figure


def _plain(axes: Axes) -> None:
    axes.grid(True, color="#dde3e9")
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
