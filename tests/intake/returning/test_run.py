"""The results of all cases, their volumes, and what is said of cases that fail."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import SimpleITK as sitk
from helpers.moved_case import phantom_images

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.returning.run import return_cases

CASE = "Fall ä"


@pytest.fixture
def predictions(tmp_path):
    (tmp_path / "pred").mkdir()
    sitk.WriteImage(reoriented(phantom_images()["seg"], "RAS"), str(tmp_path / "pred" / f"{CASE}.nii.gz"))
    return tmp_path / "pred"


def test_all_cases(taken_in, predictions, tmp_path):
    done, failed = return_cases(taken_in, predictions, tmp_path / "back", "flair")
    assert [job.case for job in done] == [CASE] and not failed
    rows = list(csv.DictReader((tmp_path / "back" / "volumes.csv").read_text(encoding="utf-8").splitlines()))
    assert [(row["case"], row["to"], row["region"]) for row in rows] == [
        (CASE, "FLAIR", region) for region in ("whole tumor", "tumor core", "enhancing tumor")
    ]
    whole = rows[0]
    change = float(whole["ml_after"]) - float(whole["ml_before"])
    assert float(whole["difference_ml"]) == pytest.approx(change, abs=0.01)
    assert abs(float(whole["difference_percent"])) < 5


def test_cases_without_results_and_results_without_cases(taken_in, predictions, tmp_path, capsys):
    (predictions / f"{CASE}.nii.gz").rename(predictions / "other.nii.gz")
    done, failed = return_cases(taken_in, predictions, tmp_path / "back", "all")
    assert not done and set(failed) == {CASE, "other"}
    assert json.loads((tmp_path / "back" / "failed.json").read_text(encoding="utf-8"))[CASE]["step"] == "return"
    assert "knows no such case" in capsys.readouterr().out


def test_volumes_that_change_are_told(taken_in, predictions, tmp_path, capsys):
    """A part of the tumour lies outside of the image: its grid is cut in the record."""
    out = shutil.copytree(taken_in, tmp_path / "out")
    file = out / "cases" / f"{CASE}.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    record["images"]["T1"]["grid"]["size"][0] = 12
    file.write_text(json.dumps(record), encoding="utf-8")
    return_cases(out, predictions, tmp_path / "back", "reference")
    assert "or a part lies outside of that image" in capsys.readouterr().out


def test_folders_that_are_none(taken_in, predictions, tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        return_cases(taken_in, tmp_path / "no", tmp_path / "back", "all")
    with pytest.raises(DataError, match="is no output folder of nnunet_hetero intake"):
        return_cases(predictions, predictions, tmp_path / "back", "all")
    with pytest.raises(SettingsError, match="lies in the input folder"):
        return_cases(taken_in, predictions, predictions / "back", "all")
    with pytest.raises(SettingsError, match="Unknown modality 'PET'"):
        return_cases(taken_in, predictions, tmp_path / "back", "PET")
