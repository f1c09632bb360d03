"""Inputs are looked at before a prediction, on a tiny calibrated model."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers.calibrated import ONE_DRAW, predictor_of
from helpers.tiny_model import write_case

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.engine.case_prediction import checked_inputs
from nnunet_hetero.inference.engine.case_result import Demands
from nnunet_hetero.inference.engine.input_look import check_inputs, signs_of_good
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.reliability import input_checks
from nnunet_hetero.reliability.calibration_file import Calibration
from nnunet_hetero.reliability.input_checks import fit_input_checks

NAMES = ["T1", "T1c", "T2", "FLAIR"]


@pytest.fixture(scope="module")
def checks(calibrated_model):
    """From the three patients of the calibration, which are too few for a real one."""
    records = sorted((calibrated_model.folder / "calibration" / "collected").glob("*.json"))
    cases = [(file.stem, json.loads(file.read_text())["input_statistics"]) for file in records]
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(input_checks, "NEEDED", 3)
        return fit_input_checks(cases, NAMES)


@pytest.fixture
def model_with(calibrated_model, checks, tmp_path, monkeypatch):
    """A copy of the model whose calibration holds checks, changed by a function."""

    def make(change=lambda checks: checks):
        monkeypatch.setattr(input_checks, "NEEDED", 3)
        folder = tmp_path / calibrated_model.folder.name
        shutil.copytree(calibrated_model.folder, folder)
        calibration = Calibration.read(folder / "calibration.json")
        replace(calibration, input_checks=change(json.loads(json.dumps(checks)))).write(folder)
        return replace(calibrated_model, folder=folder)

    return make


def nothing_is_good_enough(checks):
    """Every image has to be more like what the others make of it than any image is."""
    for of_source in checks["spreads"].values():
        for by_other in of_source.get("unlike", {}).values():
            by_other[""] = {"number": 30, "mean": 50.0, "deviation": 0.1, "smallest": 49.0}
    return checks


def demanding(model, **demands):
    return predictor_of(model, options=PredictionOptions(sampling=ONE_DRAW, demands=Demands(**demands)))


def rows_of(file):
    with open(file, newline="") as stream:
        return list(csv.DictReader(stream))


def test_a_calibration_looks_at_its_cases_from_all_sides(checks):
    assert len(checks["spreads"]) == 15  # from every subset but that of all, and from none
    assert set(checks["classes"]) == set(NAMES)
    assert set(checks["spreads"][""]["odd"]) == set(NAMES)


def test_what_calibrate_sees_is_what_predict_sees(calibrated_model, checks):
    """The margins of a calibration case are those that the checks know."""
    model = predictor_of(calibrated_model).model
    data = torch.randn(4, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    signs = signs_of_good(model, data)
    assert len(signs["explained"]) == 14 and set(signs["posterior"]["T1"]) == set(NAMES)
    found = {one.modality: one for one in check_inputs(model, checks, data)}
    explaining = [source for source in signs["explained"] if "T2" not in source.split("+")]
    likeness = [signs["explained"][source]["T2"]["completed"][2] for source in explaining]
    assert any(found["T2"].likeness == pytest.approx(value, abs=1e-3) for value in likeness)


def test_the_fold_that_looked_looks_again(calibrated_model, checks):
    """Of folds that were calibrated together it is the first, in whichever order they are loaded."""
    data = torch.randn(4, 16, 16, 16, generator=torch.Generator().manual_seed(0))
    found = []
    for folds in ((0, 1), (1, 0)):
        model = predictor_of(calibrated_model, folds).model
        of_file = model.calibration.calibration
        use = replace(model.calibration, calibration=replace(of_file, together=True), looks=folds.index(0))
        found.append([one.likeness for one in check_inputs(replace(model, calibration=use), checks, data)])
    assert found[0] == pytest.approx(found[1], abs=1e-4)


def test_tables_beside_the_predictions(model_with, tmp_path, capsys):
    model = model_with()
    write_case(tmp_path / "in", "a")
    write_case(tmp_path / "in", "b", present=(0, 2))
    predictor = demanding(model, min_dice=0.9)
    predictor.predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
    checked = [(row["case"], row["modality"]) for row in rows_of(tmp_path / "out" / "checks.csv")]
    assert checked == [*(("a", name) for name in NAMES), ("b", "T1"), ("b", "T2")]
    quality = rows_of(tmp_path / "out" / "quality.csv")
    assert [row["case"] for row in quality] == ["a"] * 3 + ["b"] * 3
    assert {row["look"] for row in quality} == {"yes"}
    assert all(0 <= float(row["dice_low"]) <= float(row["dice"]) <= 1 for row in quality if row["dice_low"])


def test_a_warning_or_a_failed_case(model_with, tmp_path, capsys):
    model = model_with(nothing_is_good_enough)
    write_case(tmp_path / "in", "a")
    write_case(tmp_path / "in", "b", present=(0,))
    predictor = demanding(model)
    predictor.predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
    assert "WARNING: Case 'a': the input may be wrong: " in capsys.readouterr().out
    assert not predictor.failed
    strict = demanding(model, refuse_suspicious=True)
    strict.predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "strict"))
    assert list(strict.failed) == ["a"] and "--refuse_suspicious" in strict.failed["a"]
    assert list(json.loads((tmp_path / "strict" / "failed.json").read_text())) == ["a"]
    assert not (tmp_path / "strict" / "a.nii.gz").exists() and (tmp_path / "strict" / "b.nii.gz").exists()
    with pytest.raises(DataError, match="the input may be wrong"):
        checked_inputs(strict.model, torch.randn(4, 16, 16, 16), "c")


def test_from_python(model_with, capsys):
    model = model_with(nothing_is_good_enough)
    images = {name: np.random.default_rng(place).normal(10, 3, (16, 16, 16)) for place, name in enumerate(NAMES)}
    found = demanding(model).predict(images, spacing=(1.0, 1.0, 1.0), case="ann")
    assert "Case 'ann': the input may be wrong" in capsys.readouterr().out
    assert [one.modality for one in found.inputs] == NAMES
    assert set(found.quality) == {"whole tumor", "tumor core", "enhancing tumor"}
    with pytest.raises(DataError, match="--refuse_suspicious"):
        demanding(model, refuse_suspicious=True).predict(images, spacing=(1.0, 1.0, 1.0), case="ann")


@pytest.mark.parametrize("demands", [{"min_dice": 0.5}, {"refuse_suspicious": True}])
def test_demands_need_a_calibration_that_knows(tiny_model, calibrated_model, tmp_path, demands):
    write_case(tmp_path / "in", "a")
    flag = f"--{next(iter(demands))}"
    for model in (tiny_model, calibrated_model):
        if model is calibrated_model and flag == "--min_dice":
            continue  # three patients are enough to predict a Dice
        with pytest.raises(SettingsError, match=flag):
            demanding(model, **demands).predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()
        # Nor from Python, where nothing is written.
        with pytest.raises(SettingsError, match=flag):
            demanding(model, **demands).predict({"T1": tmp_path / "in" / "a_0000.nii.gz"})
        with pytest.raises(SettingsError, match=flag):
            demanding(model, **demands).predict_from_files(str(tmp_path / "in"), None, False, True, 0, 0)


@pytest.mark.parametrize("wrong", [0, -0.1, 1.5])
def test_a_dice_that_is_none_is_refused(wrong):
    with pytest.raises(SettingsError, match="--min_dice"):
        Demands(min_dice=wrong)
