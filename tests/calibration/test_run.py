"""A calibration from beginning to end, on a tiny model."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import replace

import pytest
from helpers.calibrated import calibrate, predictor_of
from helpers.tiny_model import read_array, write_case

from nnunet_hetero.calibration import collect
from nnunet_hetero.calibration.fit import score_of
from nnunet_hetero.calibration.records import Row
from nnunet_hetero.calibration.run import without_interval
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.reliability.calibration_file import TOGETHER, Calibration


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def copied(calibrated_model, tmp_path):
    folder = tmp_path / calibrated_model.folder.name
    shutil.copytree(calibrated_model.folder, folder)
    return replace(calibrated_model, folder=folder)


@pytest.fixture
def measured(monkeypatch):
    """Names of the cases that are measured."""
    found = []
    measure = collect.measure_case
    monkeypatch.setattr(collect, "measure_case", lambda *args: found.append(args[1].case.name) or measure(*args))
    return found


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


def test_rows_say_what_prediction_says(calibrated_model, tmp_path):
    """A row of a case and subset against a prediction of that case from that subset alone, and the truth."""
    with (calibrated_model.folder / "calibration" / "rows.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(Row.__annotations__)
    assert len(rows) == 3 * 15 * 3
    for name in ("case_01_0000.nii.gz", "case_01_0003.nii.gz"):
        (tmp_path / "in").mkdir(exist_ok=True)
        shutil.copy(calibrated_model.images / name, tmp_path / "in" / name)
    predictor_of(calibrated_model, 1).predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
    said = json.loads((tmp_path / "out" / "run.json").read_text())["cases"]["case_01"]["statements"]
    truth = read_array(calibrated_model.labels / "case_01.nii.gz")
    (row,) = (
        row for row in rows if (row["case"], row["subset"], row["region"]) == ("case_01", "T1+FLAIR", "tumor core")
    )
    assert float(row["size"]) == pytest.approx(said["sizes"]["tumor core"][0])
    assert float(row["disagreement"]) == pytest.approx(said["disagreement"]["tumor core"][0], abs=1e-6)
    assert float(row["true_size"]) == pytest.approx((truth >= 2).sum() / 1000)
    assert (row["fold"], row["patient"], row["n_modalities"]) == ("1", "case_01", "2")


def test_what_is_there_is_not_measured_again(copied, measured):
    before = Calibration.read(copied.folder / "calibration.json")
    found = calibrate(copied.folder, level=0.6)
    assert measured == []
    assert replace(found.calibration, level=0.5, sha256=before.sha256) == before
    (copied.folder / "calibration" / "collected" / "case_05.json").write_text("{")
    (copied.folder / "calibration" / "collected" / "case_01.json").unlink()
    calibrate(copied.folder)
    assert measured == ["case_05", "case_01"]
    assert Calibration.read(copied.folder / "calibration.json") == before
    calibrate(copied.folder, folds=1, sampling=SamplingOptions(2))
    assert measured == ["case_05", "case_01", "case_01"]


def test_joint_scores_are_the_largest_of_all_regions(copied):
    apart = Calibration.read(copied.folder / "calibration.json").scores
    together = calibrate(copied.folder, joint=True, by_disagreement=False)
    assert together.calibration.joint and not together.calibration.by_disagreement
    fixed = calibrate(copied.folder, by_disagreement=False).calibration.scores
    joint = together.calibration.scores
    assert joint["whole tumor"] == joint["tumor core"] == joint["enhancing tumor"]
    largest = max(score_of(row, False) for row in together.rows if row["subset"] == "T1" and row["fold"] == "1")
    assert joint["tumor core"]["T1"]["1"] == [largest] == [max(one["T1"]["1"][0] for one in fixed.values())]
    assert apart != fixed


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


def test_patients_that_several_folds_have_seen_do_not_count(copied, tiny_model, tmp_path, monkeypatch):
    raw = tmp_path / "raw"
    shutil.copytree(tiny_model.raw, raw)
    (raw / tiny_model.dataset / "cases.csv").write_text("case,patient\ncase_00,p\ncase_01,p\ncase_05,q\n")
    monkeypatch.setenv("nnUNet_raw", str(raw))
    found = calibrate(copied.folder)
    assert found.left_out == ["p"] and found.calibration.patients == 1
    assert {row["case"] for row in found.rows} == {"case_05"}
    (raw / tiny_model.dataset / "cases.csv").write_text("case,patient\ncase_00,p\ncase_01,q\ncase_05,p\n")
    found = calibrate(copied.folder)
    assert found.left_out == [] and found.calibration.patients == 2
    assert [len(scores) for scores in found.calibration.scores["tumor core"]["T1"].values()] == [1, 1]


class TestRefused:
    def test_fold_all(self, copied):
        (copied.folder / "fold_0").rename(copied.folder / "fold_all")
        with pytest.raises(SettingsError, match="Fold 'all' trained on every case"):
            calibrate(copied.folder, folds="all")

    def test_training_images_as_a_folder(self, copied):
        with pytest.raises(SettingsError, match="is the folder of the training cases"):
            calibrate(copied.folder, images=copied.images, labels=copied.labels)

    def test_no_draws(self, copied):
        with pytest.raises(SettingsError, match="--num_samples is 0"):
            calibrate(copied.folder, sampling=SamplingOptions(0))

    @pytest.mark.parametrize("level", [0.0, 1.0, 90.0])
    def test_levels(self, copied, level):
        with pytest.raises(SettingsError, match="--level"):
            calibrate(copied.folder, level=level)

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
