"""How well a number tells good segmentations from bad ones."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.reliability.ranking import rank_correlation, risk_coverage


def test_the_least_trusted_cases_are_set_aside_first():
    curve = risk_coverage([0.1, 0.9, 0.5], [0.2, 0.8, 0.6])
    assert curve.coverage == pytest.approx([1 / 3, 2 / 3, 1])
    assert curve.risk == pytest.approx([0.2, 0.3, 1.4 / 3])
    assert curve.area == pytest.approx((0.2 + 0.3 + 1.4 / 3) / 3)


def test_no_order_is_better_than_that_of_the_truth_and_none_worse_than_its_reverse():
    true = np.random.default_rng(0).uniform(size=30)
    best, worst = risk_coverage(true, true).area, risk_coverage(-true, true).area
    for seed in range(20):
        area = risk_coverage(np.random.default_rng(seed).permutation(30), true).area
        assert best <= area <= worst


def test_equal_predictions_get_no_benefit_of_the_doubt():
    assert risk_coverage([0.5, 0.5], [0.9, 0.1]).risk == pytest.approx([0.9, 0.5])


def test_rank_correlation():
    assert rank_correlation([1, 2, 3, 4], [0.1, 0.2, 0.3, 0.4]) == pytest.approx(1)
    assert rank_correlation([1, 2], [1, 2]) is None
    assert rank_correlation([1, 2, 3], [0, 0, 0]) is None
