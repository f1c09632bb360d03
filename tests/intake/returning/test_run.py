"""The results of all cases, their volumes, and what is said of cases that fail."""

from __future__ import annotations

import csv
import json
import shutil

import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import phantom_images

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.returning import run as module
from nnunet_hetero.intake.returning.run import return_cases

CASE = "Fall ä"


@pytest.fixture
def predictions(tmp_path):
    (tmp_path / "pred").mkdir()
    sitk.WriteImage(reoriented(phantom_images()["seg"], "RAS"), str(tmp_path / "pred" / f"{CASE}.nii.gz"))
    return tmp_path / "pred"


def test_all_cases(taken_in, predictions, tmp_path):
    result = return_cases(taken_in, predictions, tmp_path / "back", "flair")
    assert result.done == [CASE] and not result.failed and not result.kept
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
    result = return_cases(taken_in, predictions, tmp_path / "back", "all")
    assert not result.done and set(result.failed) == {CASE, "other"}
    assert json.loads((tmp_path / "back" / "failed.json").read_text(encoding="utf-8"))[CASE]["step"] == "return"
    assert "knows no such case" in capsys.readouterr().out


@pytest.fixture
def done(cases_of):
    """The cases that are really done, in their order."""
    return cases_of(module, "return_case")


def test_going_on(taken_in, predictions, tmp_path, done):
    """What is there as a whole is kept, with its volumes; what would be another one is done again."""
    back = tmp_path / "back"
    return_cases(taken_in, predictions, back, "flair")
    files = {file.name: file.read_bytes() for file in (back / CASE).iterdir()}
    volumes = (back / "volumes.csv").read_bytes()
    (back / "volumes.csv").unlink()
    done.clear()
    result = return_cases(taken_in, predictions, back, "flair")
    assert result.kept == result.done == [CASE] and not done
    assert (back / "volumes.csv").read_bytes() == volumes
    (back / CASE / "segmentation_on_FLAIR.nii.gz").unlink()
    assert not return_cases(taken_in, predictions, back, "flair").kept
    assert {file.name: file.read_bytes() for file in (back / CASE).iterdir()} == files
    (predictions / f"{CASE}.nii.gz").touch()
    assert not return_cases(taken_in, predictions, back, "flair").kept
    assert not return_cases(taken_in, predictions, back, "t1").kept
    assert done == [CASE] * 3
    assert sorted(file.name for file in (back / CASE).iterdir()) == ["return.json", "segmentation_on_T1.nii.gz"]


def test_a_run_that_was_stopped(taken_in, predictions, tmp_path, done, monkeypatch):
    """Killed while a case is written: nothing of it has its name, and the next run does it."""
    back = tmp_path / "back"

    def killed(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("nnunet_hetero.intake.returning.one_case.write_record", killed)
        with pytest.raises(KeyboardInterrupt):
            return_cases(taken_in, predictions, back, "all")
    assert not list((back / CASE).glob("*_on_*"))
    assert return_cases(taken_in, predictions, back, "all").done == [CASE]
    assert done == [CASE] * 2


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
