"""How good the predicted Dice is, pooled over all subsets and within each.

Pooled alone rewards knowing that T1 is hard.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nnunet_hetero.reliability.quality import Observation, Quality, cross_fitted
from nnunet_hetero.reliability.ranking import rank_correlation, risk_coverage

POOLED = "all"
"""Instead of a subset: all of them."""

COLUMNS = ("region", "subset", "n_modalities", "rows", "rank_correlation", "mean_absolute_error", "aurc", "aurc_best")


@dataclass(frozen=True)
class Predicted:
    """Calibration cases of a region, each predicted by a regression that has not seen the patient.

    Args:
        rows: What was observed.
        dice: Predicted, ``(n,)``.
    """

    rows: list[Observation]
    dice: np.ndarray

    @property
    def true(self) -> np.ndarray:
        """The Dice, ``(n,)``."""
        return np.array([row.dice for row in self.rows])

    def of_subset(self, subset: str) -> Predicted:
        """The cases that were predicted from one subset."""
        chosen = [place for place, row in enumerate(self.rows) if row.subset == subset]
        return Predicted([self.rows[place] for place in chosen], self.dice[chosen])


def predicted_by_region(observations: Sequence[Observation], quality: Quality) -> dict[str, Predicted]:
    """The calibration cases of each region with what would have been predicted of them.

    Args:
        observations: All that the quality was fitted on.
        quality: Of all regions.
    """
    found = {}
    for region, of_region in quality.items():
        rows = [row for row in observations if row.region == region]
        found[region] = Predicted(rows, cross_fitted(of_region, rows))
    return found


def quality_table(predicted: dict[str, Predicted]) -> str:
    """CSV with a row per region pooled and one per subset; `COLUMNS`.

    ``aurc`` is the area under the risk-coverage curve, ``aurc_best`` that of the best possible order.

    Args:
        predicted: By region.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for region, one in predicted.items():
        writer.writerow([region, POOLED, "", *_scores(one)])
        subsets = {row.subset: sum(row.available) for row in one.rows}
        for subset, size in sorted(subsets.items(), key=lambda entry: entry[::-1]):
            writer.writerow([region, subset, size, *_scores(one.of_subset(subset))])
    return text.getvalue()


def _scores(predicted: Predicted) -> list[str]:
    true = predicted.true
    correlation = rank_correlation(predicted.dice.tolist(), true.tolist())
    numbers = [
        float(np.abs(predicted.dice - true).mean()),
        risk_coverage(predicted.dice.tolist(), true.tolist()).area,
        risk_coverage(true.tolist(), true.tolist()).area,
    ]
    texts = [f"{number:.4f}" for number in numbers]
    return [str(len(true)), "" if correlation is None else f"{correlation:.4f}", *texts]
