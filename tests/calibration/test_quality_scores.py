"""How good the predicted Dice is, pooled and within each subset."""

from __future__ import annotations

import csv
import io

import numpy as np
import pytest

from nnunet_hetero.calibration.quality_scores import COLUMNS, predicted_by_region, quality_table
from nnunet_hetero.reliability.quality import Observation, Signs, fit_quality


def observations():
    """The Dice depends on the subset alone, so within a subset nothing can be predicted."""
    generator = np.random.default_rng(0)
    rows = []
    for number in range(30):
        for subset, available, level in (("T1", (True, False), 0.3), ("T1+T2", (True, True), 0.8)):
            dice = level + generator.normal(0, 0.03)
            said = level + generator.normal(0, 0.03)
            signs = Signs(said, said, 1 - said, 0.3)
            rows.append(Observation(f"p{number}", "0", "whole", subset, available, signs, dice))
    return rows


def test_what_pooling_hides():
    rows = observations()
    table = quality_table(predicted_by_region(rows, fit_quality(rows)))
    pooled, one, both = csv.DictReader(io.StringIO(table))
    assert tuple(pooled) == COLUMNS
    assert (pooled["subset"], one["subset"], both["subset"]) == ("all", "T1", "T1+T2")
    assert (pooled["rows"], one["rows"]) == ("60", "30") and both["n_modalities"] == "2"
    assert float(pooled["rank_correlation"]) > 0.6
    assert abs(float(one["rank_correlation"])) < 0.5
    assert float(pooled["aurc_best"]) <= float(pooled["aurc"])


def test_numbers_by_hand():
    rows = observations()
    predicted = predicted_by_region(rows, fit_quality(rows))["whole"].of_subset("T1")
    true = np.array([row.dice for row in rows if row.subset == "T1"])
    assert predicted.true == pytest.approx(true)
    row, _ = csv.DictReader(io.StringIO(quality_table({"whole": predicted})))
    assert float(row["mean_absolute_error"]) == pytest.approx(np.abs(predicted.dice - true).mean(), abs=1e-4)
