"""The sweep over subsets, and the command, on a tiny model with random weights."""

from __future__ import annotations

import csv
import json
import os
import shutil

import numpy as np
import pytest
import torch
from helpers.tiny_model import SHAPE, read_array, write_case, write_image, write_tiny_model

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.metrics import dice_per_region
from nnunet_hetero.evaluation.model import evaluate_model
from nnunet_hetero.inference.outputs import SamplingOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.integration.predict_flags import PredictionOptions

REGIONS = {"whole tumor": (1, 2, 3), "tumor core": (2, 3), "enhancing tumor": 3}


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def folders(tmp_path):
    """A folder of images and one of labels, with one case ``a``."""
    write_case(tmp_path / "images", "a", seed=3, labels=tmp_path / "labels")
    return {"images": tmp_path / "images", "labels": tmp_path / "labels", "output": tmp_path / "out"}


def evaluate(model, folds=0, **arguments):
    arguments = {"device": torch.device("cpu"), "mirroring": False, "progress": False, **arguments}
    return evaluate_model(model.folder, folds, **arguments)


class TestAgreesWithPrediction:
    @pytest.mark.parametrize(("folds", "num_samples"), [([0], 0), ([0, 1], 3)])
    def test_label_maps_and_dice(self, tiny_model, tmp_path, folders, folds, num_samples):
        """T2 and FLAIR have larger heads than T1 and T1c: nnU-Net's crop and normalisation depend on the subset."""
        subsets = ["T1", "T2", "T1+T1c", "T1c+T2", "T2+FLAIR", "T1+T1c+T2+FLAIR"]
        sampling = {"num_samples": num_samples, "seed": 7}
        found = evaluate(tiny_model, folds, **folders, **sampling, subsets=subsets, save_predictions=True)
        truth = read_array(folders["labels"] / "a.nii.gz")
        maps = []
        for subset in subsets:
            predictor = HeteroModalPredictor(
                options=PredictionOptions(available=(subset,), sampling=SamplingOptions(**sampling)),
                use_mirroring=False,
                allow_tqdm=False,
                device=torch.device("cpu"),
            )
            predictor.initialize_from_trained_model_folder(str(tiny_model.folder), folds)
            predictor.predict_from_files_sequential(str(folders["images"]), str(tmp_path / subset))
            predicted = read_array(tmp_path / subset / "a.nii.gz")
            maps.append(read_array(tmp_path / "out" / "predictions" / subset / "a.nii.gz"))
            assert (maps[-1] == predicted).all()
            rows = {row["region"]: row["dice"] for row in found.evaluation.rows if row["subset"] == subset}
            assert rows == pytest.approx(dice_per_region(predicted, truth, REGIONS), nan_ok=True)
        assert any((maps[0] != other).any() for other in maps[1:])


class TestCases:
    def test_validation_cases_of_the_fold(self, tiny_model, tmp_path):
        found = evaluate(tiny_model, output=tmp_path, subsets=["T1", "FLAIR"])
        assert {row["case"] for row in found.evaluation.rows} == {"case_00", "case_05"}

    def test_folds_pool_their_own_cases(self, tiny_model, tmp_path):
        single = [evaluate(tiny_model, fold, output=tmp_path / str(fold), subsets=["T1"]) for fold in (0, 1)]
        pooled = evaluate(tiny_model, None, output=tmp_path / "both", subsets=["T1"])
        expected = [row for found in single for row in found.evaluation.rows]
        assert pooled.evaluation.rows == expected
        assert {row["case"] for row in expected} == {"case_00", "case_05", "case_01"}

    def test_fold_all_warns(self, tmp_path, monkeypatch, capsys):
        model = write_tiny_model(tmp_path, folds=("all",), cases=["a", "b"])
        for name, value in model.environment().items():
            monkeypatch.setenv(name, value)
        found = evaluate(model, "all", subsets=["T1"])
        assert found.folder == model.folder / "fold_all" / "evaluation"
        assert found.summary["cases"] == 2
        assert "WARNING: fold 'all' trained on every case" in capsys.readouterr().out

    def test_fold_all_has_no_cases_of_its_own(self, tmp_path):
        with pytest.raises(SettingsError, match="do not evaluate it together with others"):
            evaluate(write_tiny_model(tmp_path, folds=(0, "all")), [0, "all"])

    def test_case_that_lacks_modalities(self, tiny_model, folders):
        write_case(folders["images"], "b", present=(0, 3), labels=folders["labels"])
        write_image(folders["images"] / "b_0000.nii.gz", np.zeros(SHAPE, np.uint8))
        found = evaluate(tiny_model, **folders)
        assert {row["subset"] for row in found.evaluation.rows if row["case"] == "b"} == {"FLAIR"}
        assert len(found.summary["skipped"]["b"]) == 14
        cases = {entry["subset"]: entry["cases"] for entry in found.summary["subsets"]}
        assert (cases["FLAIR"], cases["T1"]) == (2, 1)

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({"subsets": ["T1+T9"]}, SettingsError, "Unknown modality 'T9'"),
            ({"subsets": ["T1", "0"]}, SettingsError, "'0' is empty or the same subset"),
            ({"folds": 3}, SettingsError, "no checkpoint_final.pth for fold"),
        ],
    )
    def test_settings(self, tiny_model, folders, change, error, message):
        with pytest.raises(error, match=message):
            evaluate(tiny_model, **{**folders, **change})

    def test_case_without_label(self, tiny_model, folders):
        write_case(folders["images"], "b")
        with pytest.raises(DataError, match=r"case 'b': expected the file .*labels/b.nii.gz"):
            evaluate(tiny_model, **folders)

    def test_bad_case_does_not_stop_the_others(self, tiny_model, folders):
        write_case(folders["images"], "b", labels=folders["labels"])
        write_image(folders["labels"] / "b.nii.gz", np.zeros((20, 18, 21), np.uint8))
        found = evaluate(tiny_model, **folders, subsets=["T1"])
        assert {row["case"] for row in found.evaluation.rows} == {"a"}
        assert "label map" in found.summary["failed"]["b"]
        assert "lies on another grid than T1: shape (20, 18, 21)" in found.summary["failed"]["b"]

    def test_no_good_case(self, tiny_model, folders):
        write_image(folders["labels"] / "a.nii.gz", np.zeros((20, 18, 21), np.uint8))
        with pytest.raises(DataError, match=r"No case could be evaluated.(.|\n)*another grid"):
            evaluate(tiny_model, **folders)

    @pytest.mark.parametrize(("variable", "name"), [("nnUNet_raw", "dataset"), ("nnUNet_preprocessed", "splits_final")])
    def test_dataset_is_not_there(self, tiny_model, tmp_path, monkeypatch, variable, name):
        monkeypatch.setenv(variable, str(tmp_path))
        with pytest.raises(DataError, match=f"{name}.* is not there"):
            evaluate(tiny_model, output=tmp_path)


class TestContinuation:
    @pytest.fixture
    def predicted(self, monkeypatch):
        """Counts the predictions."""
        count = []
        original = HeteroModalPredictor.predict_case
        monkeypatch.setattr(
            HeteroModalPredictor,
            "predict_case",
            lambda self, *arguments: count.append(1) or original(self, *arguments),
        )
        return count

    def test_only_what_is_not_there_yet(self, tiny_model, folders, predicted):
        first = evaluate(tiny_model, **folders, subsets=["T1", "T2"])
        second = evaluate(tiny_model, **folders, subsets=["T1", "FLAIR"])
        assert len(predicted) == 3
        assert {entry["subset"] for entry in second.summary["subsets"]} == {"T1", "FLAIR"}
        assert second.evaluation.rows[:3] == first.evaluation.rows[:3]
        evaluate(tiny_model, **folders, subsets=["T1"], save_predictions=True)
        assert len(predicted) == 4

    def test_other_draws_start_anew(self, tiny_model, folders, predicted):
        for sampling in ({}, {"num_samples": 2}, {"num_samples": 2, "seed": 1}, {"num_samples": 2, "seed": 1}):
            evaluate(tiny_model, **folders, **sampling, subsets=["T1"])
        assert len(predicted) == 3

    def test_new_checkpoint_starts_anew(self, tiny_model, folders, predicted, tmp_path, monkeypatch):
        model = write_tiny_model(tmp_path / "model")
        evaluate(model, **folders, subsets=["T1"])
        os.utime(model.folder / "fold_0" / "checkpoint_final.pth", (1, 1))
        evaluate(model, **folders, subsets=["T1"])
        assert len(predicted) == 2


class TestCommand:
    COMMAND = ("evaluate", "-d", "501", "-c", "3d_fullres", "-device", "cpu", "--disable_tta", "--disable_progress_bar")

    def test_all_subsets(self, tiny_model, tmp_path, capsys):
        assert main([*self.COMMAND, "-f", "0", "-o", str(tmp_path)]) == 0
        assert (tmp_path / "table.md").read_text() in capsys.readouterr().out
        with (tmp_path / "dice.csv").open() as stream:
            rows = list(csv.DictReader(stream))
        assert len(rows) == 2 * 15 * 3
        assert set(rows[0]) == {"case", "subset", "n_modalities", "region", "dice"}
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert len(summary["subsets"]) == 15
        assert summary["regions"] == list(REGIONS)

    def test_failed_case_gives_exit_code_1(self, folders, capsys):
        write_case(folders["images"], "b", labels=folders["labels"])
        shutil.copy(folders["labels"] / "a.nii.gz", folders["images"] / "b_0000.nii.gz")
        write_image(folders["images"] / "b_0000.nii.gz", np.ones((2, 3, 4), np.float32))
        flags = ["-f", "0", "-i", folders["images"], "-l", folders["labels"], "-o", folders["output"]]
        assert main([*self.COMMAND, *map(str, flags), "--subsets", "T1", "T1+FLAIR"]) == 1
        assert "error: Case 'b'" in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("flags", "message"),
        [
            (["-i", "x"], "-i and -l belong together"),
            (["-i", "x", "-l", "y"], "say with -o"),
            (["-d", "777"], "777"),
            (["-d", "nonsense"], "nonsense"),
            (["-tr", "OtherTrainer"], "no trained model at"),
        ],
    )
    def test_errors_of_the_user(self, flags, message, capsys):
        assert main([*self.COMMAND, *flags]) == 1
        assert message in capsys.readouterr().err

    def test_no_cuda(self, monkeypatch, capsys):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        assert main(["evaluate", "-d", "501", "-c", "3d_fullres"]) == 1
        assert "-device cpu" in capsys.readouterr().err
