"""How often intervals hold, checked on other patients."""

from __future__ import annotations

import math

import numpy as np
import pytest
from calibration.test_fit import row

from nnunet_hetero.calibration.coverage import TOGETHER, binomial_band, coverage, draws_coverage, held_out


def rows_of(fold: str, sizes: list[float], **changes) -> list:
    return [row(f"{fold}-{number}", size, fold=fold, **changes) for number, size in enumerate(sizes)]


def test_each_fold_is_checked_by_the_others():
    rows = rows_of("0", [9.9] * 9) + rows_of("1", [4.9] * 9)  # right, and half of the truth
    found = held_out(rows, by_disagreement=False)
    assert len(found) == 2
    first, second = (coverage([one], 0.9) for one in found)
    assert (first.inside, first.checked) == (9, 9) and first.log_width == pytest.approx(2 * math.log(2))
    assert (second.inside, second.checked) == (0, 9) and second.log_width == 0
    both = coverage(found, 0.9)
    assert both.share == 0.5 and both.log_width == pytest.approx(math.log(2))


def test_widths_follow_the_disagreement():
    rows = rows_of("0", [4.9] * 9, disagreement=0.4) + rows_of("1", [4.9] * 9, disagreement=0.9)
    found = coverage(held_out(rows, by_disagreement=True)[1:], 0.9)
    assert found.inside == 9 and found.log_width == pytest.approx(2 * math.log(2) * 1.0 / 0.5)


def test_a_patient_counts_once_with_the_worst_case():
    rows = rows_of("0", [9.9] * 9)
    rows[0]["size"] = 4.9
    rows += [{**rows[0], "case": "again", "size": 1.0}]
    (checked, _) = held_out(rows + rows_of("1", [9.9]), by_disagreement=False)[::-1]
    assert len(checked.calibration) == 9 and checked.calibration[-1] == pytest.approx(math.log(10 / 1.1))


def test_joint_intervals_are_checked_as_they_are_made():
    """Every region at the largest score over the regions, and whether those of a case hold at once."""
    rows = rows_of("0", [9.9] * 9) + rows_of("1", [9.9] * 9)
    others = rows_of("0", [4.9] * 9, region="edema") + rows_of("1", [1.0] * 9, region="edema")
    found = {(one.region, number // 3): one for number, one in enumerate(held_out(rows + others, False, joint=True))}
    assert set(found) == {(region, part) for region in ("core", "edema", TOGETHER) for part in (0, 1)}
    first = found["core", 0]  # fold 0, from the scores of edema in fold 1
    assert first.calibration == pytest.approx([math.log(10 / 1.1)] * 9)
    assert coverage([first], 0.9).log_width == pytest.approx(2 * math.log(10 / 1.1))
    assert coverage([found["core", 1]], 0.9).share == 1
    assert coverage([found[TOGETHER, 0]], 0.9).share == 1 and coverage([found[TOGETHER, 1]], 0.9).share == 0
    assert math.isnan(coverage([found[TOGETHER, 0]], 0.9).log_width)
    assert TOGETHER not in {one.region for one in held_out(rows, False)}


def test_of_one_fold_each_patient_is_checked_by_the_others():
    rng = np.random.default_rng(0)
    found = held_out(rows_of("0", (9.9 * rng.lognormal(size=40)).tolist()), by_disagreement=True)
    assert {len(one.calibration) for one in found} == {39} and {len(one.scores) for one in found} == {1}
    assert coverage(found, 0.9).share == 36 / 40  # ranks alone say so


def test_too_few_patients_check_nothing():
    found = coverage(held_out(rows_of("0", [9.0] * 8) + rows_of("1", [9.0] * 8), True), 0.9)
    assert found.checked == 0 and math.isnan(found.share) and math.isnan(found.log_width)
    assert coverage([], 0.9).checked == 0


def test_percentiles_of_draws():
    rows = [row("a", 9.9), row("b", 9.0), row("c", 9.85)]  # one per cent up and down
    assert draws_coverage(rows).share == pytest.approx(2 / 3)


def test_band():
    low, high = binomial_band(0.9, 120)
    assert low < 0.9 < high and low == pytest.approx(0.84, abs=0.01) and high == pytest.approx(0.95, abs=0.01)
