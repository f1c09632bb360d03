"""The statistics against values worked out by hand, and against scipy."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from nnunet_hetero.evaluation.compare.statistics import (
    bootstrap_interval,
    compare_paired,
    holm,
    known_mean,
    rank_biserial,
    signed_rank_p,
    smallest_p,
)

# Ranks of the sizes: 3, 1, 4, 2, 5; W+ = 3 + 4 + 5 = 12, W- = 1 + 2 = 3.
DIFFERENCES = np.array([0.3, -0.1, 0.4, -0.2, 0.5])


class TestSignedRank:
    def test_p_counts_all_signs_by_hand(self):
        ranks = [1, 2, 3, 4, 5]
        sums = [
            sum(r for r, sign in zip(ranks, signs, strict=True) if sign)
            for signs in itertools.product((0, 1), repeat=5)
        ]
        as_extreme = sum(total >= 12 or total <= 3 for total in sums)
        assert signed_rank_p(DIFFERENCES) == pytest.approx(as_extreme / 32)

    @pytest.mark.parametrize("number", [1, 2, 9, 13, 14, 60])
    def test_as_scipy(self, number):
        differences = np.random.default_rng(number).normal(0.2, 1, number)
        assert signed_rank_p(differences) == pytest.approx(stats.wilcoxon(differences).pvalue)

    def test_ties_by_hand(self):
        # Ranks 1.5, 1.5, 3, 4 with W- = 1.5: of the 16 signs W- is 0 once and 1.5 twice, and the same for W+.
        assert signed_rank_p(np.array([0.1, -0.1, 0.2, 0.3])) == pytest.approx(6 / 16)

    def test_zeros_are_dropped(self):
        assert signed_rank_p(np.append(DIFFERENCES, [0, 0])) == signed_rank_p(DIFFERENCES)
        assert signed_rank_p(np.zeros(4)) == 1

    @pytest.mark.parametrize("pairs", [2, 5, 8])
    def test_smallest_p(self, pairs):
        assert signed_rank_p(np.arange(1, pairs + 1) / 10) == pytest.approx(smallest_p(pairs))


class TestEffect:
    def test_by_hand(self):
        assert rank_biserial(DIFFERENCES) == pytest.approx((12 - 3) / 15)

    def test_limits(self):
        assert rank_biserial(np.array([0.1, 0.2])) == 1
        assert rank_biserial(np.array([-0.1, -0.2, 0])) == -1
        assert rank_biserial(np.zeros(3)) == 0

    def test_ties_share_their_rank(self):
        # Ranks 1.5, 1.5, 3.
        assert rank_biserial(np.array([0.1, -0.1, 0.2])) == pytest.approx(3 / 6)


class TestHolm:
    def test_by_hand(self):
        # Sorted: 0.005 × 4, 0.01 × 3, 0.03 × 2, 0.04 × 1 is less than its predecessor.
        assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])

    def test_at_most_one_and_one_alone_is_itself(self):
        assert holm([0.5, 0.9]) == [1, 1]
        assert holm([0.04]) == [0.04]
        assert holm([]) == []


class TestBootstrap:
    def test_is_scipys_and_repeatable(self):
        values = np.random.default_rng(1).normal(0.02, 0.05, 12)
        expected = stats.bootstrap((values,), np.mean, method="BCa", random_state=np.random.default_rng(3))
        assert bootstrap_interval(values, seed=3) == pytest.approx(tuple(expected.confidence_interval))
        assert bootstrap_interval(values, seed=3) == bootstrap_interval(values, seed=3)

    def test_covers_the_mean_as_often_as_it_says(self):
        random = np.random.default_rng(0)
        samples = [random.normal(0.3, 1, 40) for _ in range(200)]
        covered = sum(low <= 0.3 <= high for low, high in map(bootstrap_interval, samples))
        assert 180 <= covered <= 198

    def test_the_same_difference_in_all_cases(self):
        assert bootstrap_interval(np.full(5, 0.25)) == (0.25, 0.25)


class TestPaired:
    def test_only_cases_with_both_values_count(self):
        method = np.array([0.5, math.nan, 0.9, 0.4])
        reference = np.array([0.4, 0.7, math.nan, 0.1])
        result = compare_paired(method, reference)
        assert (result.pairs, result.difference) == (2, pytest.approx(0.2))
        assert result.effect == 1 and result.p == 0.5

    def test_one_pair_is_no_test(self):
        result = compare_paired(np.array([0.5]), np.array([0.25]))
        assert (result.pairs, result.difference, result.p, result.interval, result.effect) == (
            1,
            0.25,
            None,
            None,
            None,
        )
        assert not result.significant

    def test_no_pair(self):
        result = compare_paired(np.array([math.nan, 1]), np.array([1, math.nan]))
        assert (result.pairs, result.difference, result.p) == (0, None, None)


def test_mean_of_what_is_known():
    values = np.array([[1, math.nan], [3, math.nan]])
    np.testing.assert_array_equal(known_mean(values, axis=0), [2, math.nan])
    assert known_mean(values) == 2
