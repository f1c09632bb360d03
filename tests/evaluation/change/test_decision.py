"""What intervals of two volumes decide."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.change.decision import Interval, Thresholds, level_of_each, ratio_of


@pytest.mark.parametrize(
    ("low", "high", "decision"),
    [
        (1.4, 9.0, "PD"),
        (1.39, 9.0, "undecided"),
        (2.0, math.inf, "PD"),
        (0.0, 0.35, "PR"),
        (0.0, 0.36, "undecided"),
        (0.36, 1.39, "stable"),
        (0.35, 1.39, "undecided"),
        (0.36, 1.4, "undecided"),
        (0.1, 5.0, "undecided"),
    ],
)
def test_all_ratios_of_the_interval_must_agree(low, high, decision):
    assert Thresholds().decision(Interval(low, high)) == decision


def test_the_thresholds_are_those_of_two_diameters_for_spheres():
    """25 % more and 50 % less of an area, as RANO has them, to the power of 3/2."""
    of_areas = Thresholds().ratios("mm2")
    assert of_areas == (0.5, 1.25)
    assert Thresholds().ratios("ml") == pytest.approx([ratio**1.5 for ratio in of_areas], abs=0.005)


@pytest.mark.parametrize(("low", "high", "decision"), [(1.3, 1.35, "PD"), (0.4, 0.5, "PR"), (0.6, 1.2, "stable")])
def test_areas_are_judged_as_products_of_two_diameters(low, high, decision):
    assert Thresholds().decision(Interval(low, high), "mm2") == decision
    assert Thresholds().decision(Interval(low, high), "ml") == "stable"
    assert Thresholds(0.4, 0.65).decision(Interval(low, high), "mm2") == "stable"  # the user's own hold for both


def test_the_user_sets_the_thresholds():
    assert Thresholds(progression=0.2, response=0.3).decision(Interval(1.25, 1.35)) == "PD"
    assert Thresholds(progression=0.2, response=0.3).decision(Interval(0.5, 0.69)) == "PR"


@pytest.mark.parametrize("wrong", [{"progression": 0}, {"progression": -1.0}, {"response": 0}, {"response": 1.0}])
def test_thresholds_that_are_no_share_are_refused(wrong):
    with pytest.raises(SettingsError, match=f"--{next(iter(wrong))}"):
        Thresholds(**wrong)


def test_the_ratio_of_any_two_volumes_of_the_intervals_is_in_its_interval():
    generator = np.random.default_rng(0)
    limits = np.sort(generator.uniform(0.1, 50, (200, 2, 2)))
    for before, after in limits:
        low, high = ratio_of(Interval(*before), Interval(*after))
        one, two = generator.uniform(*before, 50), generator.uniform(*after, 50)
        assert (low <= two / one).all() and (two / one <= high).all()


def test_a_region_that_may_have_been_nothing_can_have_grown_without_limit():
    assert ratio_of(Interval(0.0, 2.0), Interval(4.0, 8.0)) == Interval(2.0, math.inf)
    assert ratio_of(Interval(0.0, 0.0), Interval(4.0, 8.0)) == Interval(math.inf, math.inf)
    assert ratio_of(Interval(2.0, 4.0), Interval(0.0, 1.0)) == Interval(0.0, 0.5)


def test_two_regions_that_may_both_be_nothing_have_no_ratio():
    assert ratio_of(Interval(0.0, 2.0), Interval(0.0, 3.0)) is None


def test_two_intervals_share_the_error():
    assert level_of_each(0.9) == pytest.approx(0.95)
