"""Rows of an evaluation of two modalities and two cases, whose means are worked out by hand."""

from __future__ import annotations

import math
from typing import Any

from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.summary import Summary
from nnunet_hetero.modalities import Modalities

MODALITIES = Modalities(("T1", "FLAIR"))
DICE = {"T1": (0.2, 0.4), "FLAIR": (0.6, math.nan), "T1+FLAIR": (0.8, 1.0)}
"""Of the two cases, by subset."""


def row(case: str, subset: str, region: str, dice: float, **scores: float) -> dict[str, Any]:
    """A row of ``metrics.csv``."""
    n_modalities = len(subset.split("+"))
    return {"case": case, "subset": subset, "n_modalities": n_modalities, "region": region, "dice": dice, **scores}


def small_summary() -> Summary:
    """Two regions, of which the second case has but the core."""
    rows = []
    for subset, (first, second) in DICE.items():
        rows += [row("a", subset, "core", first), row("a", subset, "whole", first), row("b", subset, "core", second)]
    return summarise(rows, MODALITIES, ["whole", "core"])
