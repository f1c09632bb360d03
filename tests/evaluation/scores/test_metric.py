"""A metric: what is wrong with one is said when it is made, or tried out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.masks import RegionMasks
from nnunet_hetero.evaluation.scores.metric import Column, Metric
from nnunet_hetero.evaluation.scores.metric_settings import MetricSettings
from nnunet_hetero.evaluation.scores.score import Score

SETTINGS = MetricSettings(tolerance=3.0)
COLUMN = Column("mine", Score("Mine", "%"), "What it means.")


def metric(**changes) -> Metric:
    return Metric(**{"name": "mine", "columns": (COLUMN,), "compute": lambda masks, settings: 1.0, **changes})


class TestMaking:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"name": "My metric"}, "cannot be called 'My metric'"),
            ({"name": "all"}, "cannot be called 'all'"),
            ({"columns": ()}, "'mine' has no columns"),
            ({"columns": (Column("a,b", COLUMN.score, "x"),)}, "'a,b' is no name for a column"),
            ({"columns": (Column("a", COLUMN.score, ""),)}, "the column 'a' has no convention"),
            ({"compute": 1}, "compute is 1, which cannot be called"),
        ],
    )
    def test_a_forgotten_part_is_said_at_once(self, changes, message):
        with pytest.raises(SettingsError, match=message):
            metric(**changes)


class TestMeasuring:
    MASKS = RegionMasks(np.ones((2, 3, 4), bool), np.ones((2, 3, 4), bool), (1.0, 1.0, 1.0))

    def test_one_number_or_one_per_column(self):
        assert metric().measure(self.MASKS, SETTINGS) == {"mine": 1.0}
        two = (COLUMN, Column("other", COLUMN.score, "x"))
        found = metric(columns=two, compute=lambda masks, settings: (masks.hits, settings.tolerance))
        assert found.measure(self.MASKS, SETTINGS) == {"mine": 24.0, "other": 3.0}

    def test_volumes_only(self):
        flat = RegionMasks(np.ones((1, 3, 4), bool), np.ones((1, 3, 4), bool), (1.0, 1.0, 1.0))
        assert metric().measure(flat, SETTINGS) == {"mine": 1.0}
        assert math.isnan(metric(needs_volume=True).measure(flat, SETTINGS)["mine"])

    def test_another_number_of_numbers(self):
        with pytest.raises(SettingsError, match=r"'mine' returned \(1, 2\) for the 1 column\(s\) mine"):
            metric(compute=lambda masks, settings: (1, 2)).measure(self.MASKS, SETTINGS)

    def test_a_convention_may_depend_on_the_settings(self):
        column = Column("mine", COLUMN.score, lambda settings: f"within {settings.tolerance:g} mm")
        assert metric(columns=(column,)).conventions(SETTINGS) == {"mine": "within 3 mm"}


class TestTryingOut:
    def test_a_good_one(self):
        metric().try_out(SETTINGS)

    @pytest.mark.parametrize(
        ("compute", "message"),
        [
            (lambda masks, settings: masks.hits / masks.true, r"truth of 0 voxels: ZeroDivisionError"),
            (lambda masks: 1.0, r"TypeError"),
            (lambda masks, settings: "high", r"returned 'high' for the 1 column"),
            (lambda masks, settings: None, r"TypeError"),
            (lambda masks, settings: (), r"returned \(\) for the 1 column"),
        ],
    )
    def test_faults(self, compute, message):
        with pytest.raises(SettingsError, match=f"Metric 'mine' .*{message}"):
            metric(compute=compute).try_out(SETTINGS)
