"""Limits of what good cases show."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.reliability.spread import LEAST, least_alpha, limit_of, spread_of


@pytest.mark.parametrize("number", [8, 30, 200])
def test_a_new_number_falls_below_the_limit_about_as_often_as_it_says(number):
    generator = np.random.default_rng(0)
    below = [generator.normal() < limit_of(spread_of(generator.normal(size=number)), 0.03) for _ in range(4000)]
    # Three binomial standard errors; that none has fallen yet makes it rarer.
    assert np.mean(below) <= 0.03 + 3 * np.sqrt(0.03 * 0.97 / 4000)


def test_the_limit_is_beyond_all_that_was_seen():
    assert limit_of(spread_of([1.0] * 20 + [-50.0]), 0.4) == -50.0
    assert limit_of(spread_of([1.0, 1.1, 0.9, 1.05, 0.95]), 0.001) < 0.9


@pytest.mark.parametrize("alpha", [1e-20, 1e-6, 0.01, 0.2])
def test_the_least_alpha_is_that_of_the_limit(alpha):
    spread = {**spread_of([1.0, 1.1, 0.9, 1.05, 0.95]), "smallest": 1.5}
    limit = limit_of(spread, alpha)
    assert np.isfinite(limit)
    assert least_alpha(spread, limit) == pytest.approx(alpha)


def test_what_was_seen_is_below_no_limit():
    spread = spread_of([1.0, 1.1, 0.9, 1.05, 0.95])
    assert least_alpha(spread, 0.9) == 1.0
    assert LEAST <= least_alpha({**spread, "deviation": 0.0}, 0.8) < 1e-30
