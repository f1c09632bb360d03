"""Volumes of predicted scans at whatever level is needed."""

from __future__ import annotations

import json

import pytest
from helpers.results.two_scans import calibration_of, write_scans

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.change.scans import Scans

CASES = {
    "ann": {"modalities": ["T1", "T2"], "sizes": [20.0, 5.0]},
    "bob": {"modalities": ["T2"], "sizes": [8.0, 0.0]},
}


@pytest.fixture
def folder(tmp_path):
    write_scans(tmp_path / "out", CASES)
    return tmp_path / "out"


def edited(folder, change):
    content = json.loads((folder / "run.json").read_text())
    change(content["cases"]["ann"])
    (folder / "run.json").write_text(json.dumps(content))
    return Scans.read(folder)


def test_at_the_calibrations_own_level_they_are_those_of_volumes_csv(folder):
    scans = Scans.read(folder)
    found = scans.volumes("ann", 0.9)["whole tumor"]
    row = scans.sizes["ann"]
    assert found.size == 20.0
    assert found.interval == pytest.approx(
        (float(row["whole_tumor_ml_low"]), float(row["whole_tumor_ml_high"])), rel=1e-5
    )


def test_a_higher_level_is_wider(folder):
    scans = Scans.read(folder)
    one, two = (scans.volumes("ann", level)["whole tumor"].interval for level in (0.9, 0.95))
    assert two.low < one.low < 20 < one.high < two.high


def test_a_subset_that_was_never_calibrated_has_no_interval(folder):
    found = Scans.read(folder).volumes("bob", 0.9)["whole tumor"]
    assert found.interval is None and "0 patient(s) with T2" in found.reason


def test_too_few_patients_for_the_higher_level(tmp_path):
    write_scans(tmp_path, CASES, calibration_of(patients=12))
    scans = Scans.read(tmp_path)
    assert scans.volumes("ann", 0.9)["whole tumor"].interval is not None
    assert "95 % needs 19" in scans.volumes("ann", 0.95)["whole tumor"].reason


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda case: case.pop("statements"), "without a calibration"),
        (lambda case: case["made_from"]["settings"].update(calibration="other"), "another calibration"),
        (lambda case: case.pop("made_from"), "another calibration"),
        (lambda case: case["statements"]["sizes"].pop("whole tumor"), "other regions"),
        (lambda case: case["statements"]["folds"].append("1"), "what each fold said"),
    ],
)
def test_cases_without_a_sound_record_have_no_interval_and_a_reason(folder, change, words):
    found = edited(folder, change).volumes("ann", 0.9)
    assert all(volume.interval is None and words in volume.reason for volume in found.values())


@pytest.mark.parametrize("name", ["run.json", "calibration.json", "volumes.csv"])
def test_a_folder_without_its_files_is_refused(folder, name):
    (folder / name).unlink()
    with pytest.raises(DataError, match=rf"has no {name}.*nnunet_hetero calibrate"):
        Scans.read(folder)


def test_no_folder_is_refused(tmp_path):
    with pytest.raises(DataError, match="is no folder"):
        Scans.read(tmp_path / "nothing")


def test_a_damaged_record_is_refused(folder):
    whole = json.loads((folder / "run.json").read_text())["cases"]["ann"]["statements"]
    for damaged in (3, {**whole, "unit": "litres"}, {**whole, "folds": []}):
        (folder / "run.json").write_text(json.dumps({"cases": {"ann": {"statements": damaged}}}))
        with pytest.raises(DataError, match="statements"):
            Scans.read(folder)


@pytest.mark.parametrize("size", ["nan", "inf", "-1", "many"])
def test_a_volume_that_is_none_is_not_known(folder, size):
    text = (folder / "volumes.csv").read_text()
    (folder / "volumes.csv").write_text(text.replace(",20,", f",{size},"))
    assert Scans.read(folder).volumes("ann", 0.9)["whole tumor"].size is None


def test_no_limit_is_larger_than_the_image(folder):
    found = edited(folder, lambda case: case["statements"].update(image=21.0)).volumes("ann", 0.9)
    assert found["whole tumor"].interval.high == pytest.approx(21.0)
