"""A calibration from beginning to end, on a tiny model."""

from __future__ import annotations

import csv
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
from helpers.calibrated import calibrate, predictor_of
from helpers.tiny_model import write_case, write_tiny_model

from nnunet_hetero.calibration import measure, run
from nnunet_hetero.calibration.fit import score_of
from nnunet_hetero.calibration.run import without_interval
from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.nnunet.extent import VoxelSize
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
        write_case(tmp_path / "images", name, present=present, seed=30 + number, labels=tmp_path / "labels")
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
    assert without_interval(replace(found.calibration, level=0.9), ["T1", "T3"]) == {
        **dict.fromkeys(found.calibration.scores["tumor core"], 1),
        "T3": 0,
    }
    assert predictor_of(copied).model.calibration.folds == (TOGETHER,)
    assert "folds 0, 1 together" in predictor_of(copied, 1).model.uncalibrated


@pytest.mark.parametrize(
    ("trainer", "settings", "subsets"), [("ModalityDropoutTrainer", {}, 15), ("SubsetTrainer", {"subset": [0, 3]}, 1)]
)
def test_a_model_without_latents_has_intervals_of_fixed_width(tmp_path, monkeypatch, trainer, settings, subsets):
    model = write_tiny_model(tmp_path, trainer=trainer, cases=list("abcdefghijk"), settings=settings)
    for name, value in model.environment().items():
        monkeypatch.setenv(name, value)
    found = calibrate(model.folder, sampling=SamplingOptions(), level=0.6)
    calibration = found.calibration
    assert not calibration.by_disagreement and calibration.model.num_samples == 0 and calibration.patients == 3
    assert len(calibration.scores["tumor core"]) == subsets
    assert {row["disagreement"] for row in found.rows} == {0.0}
    write_case(tmp_path / "in", "new", present=(0, 3), seed=20)
    predictor = predictor_of(model, 0, SamplingOptions(save_uncertainty=True))
    predictor.predict_from_files_sequential(str(tmp_path / "in"), str(tmp_path / "out"))
    with (tmp_path / "out" / "volumes.csv").open(newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert (row["draws"], row["interval_cases"], row["interval_note"]) == ("0", "3", "")
    said = json.loads((tmp_path / "out" / "run.json").read_text())["cases"]["new"]["statements"]
    place = np.log(said["sizes"]["tumor core"][0] + 0.1)
    (score,) = calibration.scores["tumor core"]["T1+FLAIR"]["0"][2:]  # ⌈0.6 (3 + 1)⌉ is the third
    volume = float(row["tumor_core_ml"])
    assert float(row["tumor_core_ml_low"]) == pytest.approx(
        max(0, min(np.exp(place - score) - 0.1, volume)), rel=1e-4, abs=1e-6
    )
    high = min(np.exp(place + score) - 0.1, said["image"])
    assert said["image"] == pytest.approx(20 * 18 * 22 / 1000)
    assert float(row["tumor_core_ml_high"]) == pytest.approx(max(high, volume), rel=1e-4)
    assert (tmp_path / "out" / "quality.csv").is_file()
    assert not (tmp_path / "out" / "uncertainty" / "uncertainty.csv").exists()


class TestRefused:
    def test_a_page_that_cannot_be_drawn_does_not_cost_the_calibration(self, copied, monkeypatch):
        def no_page(*_):
            raise RuntimeError("no room for the axes")

        monkeypatch.setattr(run, "write_calibration_report", no_page)
        with pytest.raises(RuntimeError):
            calibrate(copied.folder, level=0.4)
        assert Calibration.read(copied.folder / "calibration.json").level == 0.4

    def test_a_label_map_on_another_grid(self, copied, tmp_path):
        for name in "ab":
            write_case(tmp_path / "images", name, seed=30, labels=tmp_path / "labels")
        write_case(tmp_path / "other", "b", seed=30, shape=(10, 11, 12), labels=tmp_path / "labels")
        found = calibrate(copied.folder, images=tmp_path / "images", labels=tmp_path / "labels")
        assert list(found.failed) == ["b"] and "lies on another grid" in found.failed["b"]
        assert found.calibration.patients == 1
        shutil.copy(tmp_path / "labels" / "b.nii.gz", tmp_path / "labels" / "a.nii.gz")
        before = (copied.folder / "calibration.json").read_bytes()
        with pytest.raises(DataError, match="No case is left to calibrate on"):
            calibrate(copied.folder, images=tmp_path / "images", labels=tmp_path / "labels")
        assert (copied.folder / "calibration.json").read_bytes() == before

    def test_a_fold_without_validation_cases(self, copied, monkeypatch, tmp_path):
        preprocessed = tmp_path / "preprocessed"
        shutil.copytree(copied.preprocessed, preprocessed)
        monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
        file = preprocessed / copied.dataset / "splits_final.json"
        splits = json.loads(file.read_text())
        splits[0]["val"] = []
        file.write_text(json.dumps(splits))
        with pytest.raises(DataError, match=r"Fold\(s\) 0 have no validation cases .* -f, or .* -i and -l"):
            calibrate(copied.folder, folds=0)

    def test_pictures_have_no_size_to_compare_with(self, copied, tmp_path, monkeypatch):
        """What is wrong with all cases is said of a few."""
        for name in "abcdefg":
            write_case(tmp_path / "images", name, seed=30, labels=tmp_path / "labels")
        monkeypatch.setattr(measure, "voxel_size", lambda properties: VoxelSize(math.nan, None))
        with pytest.raises(DataError, match=r"Case 'a': nobody knows how large a pixel of it is") as caught:
            calibrate(copied.folder, images=tmp_path / "images", labels=tmp_path / "labels")
        assert str(caught.value).count("such as NIfTI") == 5 and str(caught.value).endswith("and 2 more cases")
