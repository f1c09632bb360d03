"""The table of intervals before and after calibration, from rows that were made up."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import uncertainty
from calibration.test_fit import row
from reliability.test_calibration_file import CALIBRATION

from nnunet_hetero.calibration.run import CalibrationResult
from nnunet_hetero.errors import SettingsError


def result(patients: int = 60) -> CalibrationResult:
    """Three folds; errors grow with the disagreement, and draws spread by one per cent."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(patients):
        for subset, spread in (("T1", 0.6), ("T2", 0.4), ("T1+T2", 0.1)):
            disagreement = spread * rng.uniform(0.5, 1.5)
            size = float(9.9 * np.exp(rng.normal(scale=disagreement)))
            one = row(f"case_{number}", size, fold=str(number % 3), subset=subset, disagreement=disagreement)
            rows.append({**one, "n_modalities": subset.count("+") + 1, "dice": 1 - disagreement})
    calibration = replace(CALIBRATION, scores={"core": {}})
    return CalibrationResult(Path("calibration.json"), calibration, rows, [], {}, [], {})


def test_before_and_after_by_region_and_number_of_modalities():
    lines = [dict(zip(uncertainty._keys(), line, strict=True)) for line in uncertainty.table(result())]
    assert [line["modalities"] for line in lines] == ["1", "2", "all"]
    one, two, both = lines
    assert (one["checked"], two["checked"], both["checked"]) == ("120", "60", "180")
    for line in lines:
        assert 84 <= float(line["inside"]) <= 97 and float(line["draws: inside"]) < 20
    assert float(both["width"]) < float(both["fixed: width"])
    assert float(two["width"]) < float(one["width"])
    assert float(both["correlation"]) == pytest.approx(-1)


def test_subsets_with_too_few_patients_have_no_numbers():
    (line, *_) = uncertainty.table(result(6))
    assert line[2:5] == ["0", "–", "nan to nan"]


def test_flags_for_the_training_need_a_folder_for_it(tmp_path, capsys):
    assert uncertainty.main(["-o", str(tmp_path), "--model", str(tmp_path), "--folds", "3"]) == 1
    assert "--model knows no such flags" in capsys.readouterr().err
    with pytest.raises(SettingsError, match="There is no model of ours, seed 0"):
        uncertainty._accuracy_model(uncertainty.parser().parse_args(["-o", "x", "--accuracy", str(tmp_path)]), [])
