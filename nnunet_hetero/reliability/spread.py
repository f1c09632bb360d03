"""How numbers of good cases are spread, and below which limit a new one is no matter of chance."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Annotated

import numpy as np
from pydantic import Field
from scipy.stats import t
from typing_extensions import TypedDict

NEEDED = 8
"""Numbers from which on a spread says anything."""

LEAST = 1e-300
"""Probability that is told from 0; smaller ones would give limits that are no numbers."""

_Number = Annotated[float, Field(allow_inf_nan=False)]


class Spread(TypedDict):
    """Mean, standard deviation and smallest of some numbers."""

    number: Annotated[int, Field(ge=2)]
    mean: _Number
    deviation: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    smallest: _Number


def spread_of(numbers: Sequence[float]) -> Spread:
    """The spread of at least two numbers."""
    values = np.asarray(numbers, dtype=float)
    return {
        "number": len(values),
        "mean": float(values.mean()),
        "deviation": float(values.std(ddof=1)),
        "smallest": float(values.min()),
    }


def limit_of(spread: Spread, alpha: float) -> float:
    """Below it a new number of the same kind falls with a probability of about alpha, and none has fallen yet.

    It is the limit of the prediction interval of a normal distribution, so it reaches beyond what was seen.

    Args:
        spread: Of the numbers seen.
        alpha: Probability.
    """
    number = spread["number"]
    return min(spread["mean"] - _reach(number, alpha) * spread["deviation"], spread["smallest"])


def least_alpha(spread: Spread, number: float) -> float:
    """The least alpha whose `limit_of` a number falls below, ``LEAST`` to 1; 1 for one that falls below none."""
    if number >= spread["smallest"]:
        return 1.0
    distance = (spread["mean"] - number) / np.sqrt(1 + 1 / spread["number"])
    return max(float(t.sf(distance / max(spread["deviation"], 1e-12), spread["number"] - 1)), LEAST)


@cache
def _reach(number: int, alpha: float) -> float:
    return float(t.isf(alpha, number - 1) * np.sqrt(1 + 1 / number))
