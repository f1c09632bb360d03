"""A calibration from beginning to end, on a tiny model."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest
from helpers.calibrated import calibrate, predictor_of
from helpers.tiny_model import write_case

from nnunet_hetero.calibration.fit import score_of
from nnunet_hetero.calibration.run import without_interval
from nnunet_hetero.errors import DataError
from nnunet_hetero.reliability.calibration_file import TOGETHER, Calibration


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


def test_what_is_written(calibrated_model):
    calibration = Calibration.read(calibrated_model.folder / "calibration.json")
    assert calibration.patients == 3 and calibration.level == 0.5 and not calibration.together
    assert calibration.regions == ["whole tumor", "tumor core", "enhancing tumor"]
    assert list(calibration.model.weights) == ["0", "1"]
    for of_subsets in calibration.scores.values():
        assert len(of_subsets) == 15
        for of_folds in of_subsets.values():
            assert {fold: len(scores) for fold, scores in of_folds.items()} == {"0": 2, "1": 1}
    assert all(len(temperatures) == 16 for temperatures in calibration.temperatures.values())
    assert "case_0" not in (calibrated_model.folder / "calibration.json").read_text()  # nobody's name travels with it


def test_a_labelled_folder(copied, tmp_path, measured):
    for number, name in enumerate("ab"):
        present = (0, 1) if name == "b" else None
        write_case(tmp_path / "images", name, present=present, seed=number, labels=tmp_path / "labels")
    (tmp_path / "cases.csv").write_text("case,patient\na,p\nb,p\n")
    found = calibrate(copied.folder, images=tmp_path / "images", labels=tmp_path / "labels")
    assert measured == ["a", "b"]
    assert found.calibration.together and found.calibration.patients == 1
    assert found.calibration.scores["tumor core"]["T1"] == {
        TOGETHER: [
            max(score_of(row, True) for row in found.rows if (row["subset"], row["region"]) == ("T1", "tumor core"))
        ]
    }
    assert {len(of_subsets) for of_subsets in found.calibration.scores.values()} == {15}
    assert len([row for row in found.rows if row["case"] == "b"]) == 3 * 3  # T1, T1c and both
    assert without_interval(replace(found.calibration, level=0.9)) == dict.fromkeys(
        found.calibration.scores["tumor core"], 1
    )
    assert predictor_of(copied).model.calibration.folds == (TOGETHER,)
    assert "folds 0, 1 together" in predictor_of(copied, 1).model.uncalibrated


class TestRefused:
    def test_a_label_map_on_another_grid(self, copied, tmp_path):
        for name in "ab":
            write_case(tmp_path / "images", name, labels=tmp_path / "labels")
        write_case(tmp_path / "other", "b", shape=(10, 11, 12), labels=tmp_path / "labels")
        found = calibrate(copied.folder, images=tmp_path / "images", labels=tmp_path / "labels")
        assert list(found.failed) == ["b"] and "lies on another grid" in found.failed["b"]
        assert found.calibration.patients == 1
        shutil.copy(tmp_path / "labels" / "b.nii.gz", tmp_path / "labels" / "a.nii.gz")
        before = (copied.folder / "calibration.json").read_bytes()
        with pytest.raises(DataError, match="No case is left to calibrate on"):
            calibrate(copied.folder, images=tmp_path / "images", labels=tmp_path / "labels")
        assert (copied.folder / "calibration.json").read_bytes() == before
