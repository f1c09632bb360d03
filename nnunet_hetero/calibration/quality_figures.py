"""Pictures of the predicted Dice: the risk that is left when the least trusted cases are set aside, and the truth."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from nnunet_hetero.calibration.quality_scores import Predicted
from nnunet_hetero.evaluation.report.figures.common import DARK, REGION_COLOURS
from nnunet_hetero.evaluation.report.page import NamedFigure
from nnunet_hetero.reliability.ranking import risk_coverage

GREY = "#9aa5b1"


def quality_figures(predicted: Mapping[str, Predicted]) -> list[NamedFigure]:
    """The figures of the predicted Dice with their captions; none without predictions.

    Args:
        predicted: By region.
    """
    if not predicted:
        return []
    return [
        (
            "risk_coverage",
            "Mean risk (1 - Dice) among the cases that are kept when those with the lowest predicted Dice are set "
            "aside; below, the best possible order; dotted, all cases. All subsets; each patient is predicted without "
            "himself.",
            risk_coverage_curves(predicted),
        ),
        (
            "predicted_dice",
            "Predicted against true Dice, by number of modalities.",
            predicted_against_true(predicted),
        ),
    ]


def risk_coverage_curves(predicted: Mapping[str, Predicted]) -> Figure:
    """By region, the risk of what is kept against its share.

    Args:
        predicted: By region.
    """
    figure = Figure(figsize=(3.4 * len(predicted), 3.6), layout="constrained")
    for axes, (region, one) in zip(
        figure.subplots(1, len(predicted), squeeze=False)[0], predicted.items(), strict=True
    ):
        kinds = (("by predicted Dice", one.dice, DARK), ("best possible", one.true, GREY))
        for name, order, colour in kinds:
            curve = risk_coverage(order.tolist(), one.true.tolist())
            axes.plot(curve.coverage, curve.risk, color=colour, label=f"{name}: area {curve.area:.3f}")
        axes.axhline(float((1 - one.true).mean()), color=GREY, linestyle=":")
        axes.set(title=region, xlabel="share of cases kept", ylabel="mean risk, 1 - Dice", xlim=(0, 1), ylim=(0, None))
        axes.legend(fontsize=7, frameon=False, loc="lower right")
    return figure


def predicted_against_true(predicted: Mapping[str, Predicted]) -> Figure:
    """By region, a dot for each case and subset, coloured by the number of modalities.

    Args:
        predicted: By region.
    """
    figure = Figure(figsize=(3.4 * len(predicted), 3.8), layout="constrained")
    for axes, (region, one) in zip(
        figure.subplots(1, len(predicted), squeeze=False)[0], predicted.items(), strict=True
    ):
        sizes = np.array([sum(row.available) for row in one.rows])
        axes.plot([0, 1], [0, 1], color=GREY, linestyle=":")
        for number in np.unique(sizes).tolist():
            own = sizes == number
            colour = REGION_COLOURS[(number - 1) % len(REGION_COLOURS)]
            axes.plot(one.true[own], one.dice[own], "o", markersize=3, color=colour, label=str(number))
        axes.set(title=region, xlabel="true Dice", ylabel="predicted Dice", xlim=(0, 1), ylim=(0, 1))
        axes.legend(fontsize=7, frameon=False, title="modalities", title_fontsize=7, loc="upper left")
    return figure
