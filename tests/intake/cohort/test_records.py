"""Records of an intake, and its table."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest
from helpers.cohorts.moved_case import target

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.cohort.records import (
    INTAKE_NAME,
    case_record,
    found_registration,
    settle,
    transform_file,
    write_table,
)
from nnunet_hetero.intake.series import Series


@pytest.fixture
def out(taken_in, tmp_path):
    return shutil.copytree(taken_in, tmp_path / "out")


def _rows(out):
    return list(csv.DictReader((out / "intake.csv").read_text(encoding="utf-8").splitlines()))


def test_what_became_of_every_file(taken_in):
    rows = {row["modality"]: row for row in _rows(taken_in)}
    assert [row["became"] for row in rows.values()] == ["registered", "reference", "same grid", "same grid"]
    flair = rows["FLAIR"]
    assert flair["file"] == "images/Fall ä_0003.nii.gz" and flair["source"] == "Fall ä/Fall ä_flair.nii.gz"
    assert float(flair["metric_after"]) > float(flair["metric_before"])
    assert float(flair["shift_mm"]) == pytest.approx(9, abs=2) and float(flair["degrees"]) == pytest.approx(8, abs=1)
    assert float(flair["inside_mm"]) >= 0 and {row["doubt"] for row in rows.values()} == {""}
    assert rows["T1"]["metric_before"] == "" and rows["T1"]["why"].startswith("named 't1'")


def test_files_that_are_not_used_and_cases_that_failed(out):
    series = [
        Series("Fall ä", "a", "", "doubtful", "a map", ("T2",)),
        Series("b", "b/t1.nii", "T1", "sure", "named 't1'"),
        Series("c", "c/t1.nii", "T1", "sure", "named 't1'"),
    ]
    write_table(out, series, {"b": "Case 'b': no."})
    assert [(row["became"], row["why"]) for row in _rows(out)] == [
        ("not used", "a map"),
        ("case failed", "Case 'b': no."),
        ("case failed", "not done yet"),
    ]


def test_the_record_of_a_case(out, capsys):
    record = case_record(out, "Fall ä")
    assert record["reference"] == "T1" and list(record["images"]) == ["T1", "T1c", "T2", "FLAIR"]
    assert (out / transform_file("Fall ä", "FLAIR")).is_file()
    assert case_record(out, "b") is None
    (out / "cases" / "Fall ä.json").write_text("{}")
    assert case_record(out, "Fall ä") is None
    assert "'case' is missing" in capsys.readouterr().out


def test_one_model_in_one_folder(out, tmp_path):
    before = json.loads((out / INTAKE_NAME).read_text(encoding="utf-8"))
    assert before["regions"]["whole tumor"] == [1, 2, 3] and before["orientation"] == "RAS"
    with pytest.raises(DataError, match="holds an intake with another orientation: RAS, now LPS"):
        settle(out, tmp_path.__class__(before["input"]), target(orientation="LPS"))
    with pytest.raises(DataError, match="another input"):
        settle(out, tmp_path, target())
    assert found_registration(None) is None


def test_a_damaged_record_is_begun_anew(out, capsys):
    folder = json.loads((out / INTAKE_NAME).read_text(encoding="utf-8"))["input"]
    before = (out / INTAKE_NAME).read_bytes()
    (out / INTAKE_NAME).write_text("{")
    settle(out, Path(folder), target())
    assert (out / INTAKE_NAME).read_bytes() == before and "is not valid JSON" in capsys.readouterr().out
