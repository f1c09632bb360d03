"""The intervals of all pairs' volume ratios, beside the thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import chain

from matplotlib.figure import Figure

from nnunet_hetero.evaluation.change.changes import Change
from nnunet_hetero.evaluation.change.decision import PD, PR, STABLE, Thresholds
from nnunet_hetero.evaluation.report.figures.common import DARK
from nnunet_hetero.nnunet.extent import MEASURES, MILLILITRES

COLOURS = {PD: "#D55E00", PR: "#0072B2", STABLE: "#009E73"}
"""By decision; what is undecided is dark."""

LIMITS = 0.02, 50.0
"""Ratios that are shown; an interval that goes beyond ends at the border."""


def change_figure(changes: Sequence[Change], thresholds: Thresholds) -> Figure:
    """One line per pair and region, on a logarithmic scale.

    Args:
        changes: What is drawn; those without a ratio have an empty line.
        thresholds: Drawn as lines.
    """
    figure = Figure(figsize=(8, 1.2 + 0.28 * len(changes)), layout="constrained")
    axes = figure.add_subplot()
    for place, change in enumerate(changes):
        colour = COLOURS.get(change.decision, DARK)
        if change.ratio is not None:
            low, high = (min(max(value, LIMITS[0]), LIMITS[1]) for value in change.ratio)
            axes.plot([low, high], [place, place], color=colour, linewidth=3, solid_capstyle="butt")
        if change.measured and math.isfinite(change.measured):
            axes.plot(min(max(change.measured, LIMITS[0]), LIMITS[1]), place, "o", color=colour, markersize=5)
        axes.text(1.01, place, change.decision, transform=axes.get_yaxis_transform(), va="center", color=colour)
    units = {change.unit for change in changes if change.ratio is not None} or {MILLILITRES}
    for value in sorted(set(chain.from_iterable(map(thresholds.ratios, units)))):
        axes.axvline(value, color=DARK, linewidth=0.8, linestyle="--")
    axes.set_xscale("log")
    axes.set_xlim(*LIMITS)
    axes.set_ylim(len(changes) - 0.5, -0.5)
    axes.set_yticks(range(len(changes)), [f"{change.pair.name}, {change.region}" for change in changes])
    what = " or ".join(MEASURES[unit] for unit in sorted(units))
    axes.set_xlabel(f"{what.capitalize()} after, divided by that before")
    return figure
