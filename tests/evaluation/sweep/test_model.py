"""What an evaluation writes beside the scores: summary, completed images, removal of small regions."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from helpers.evaluation import evaluate, labelled_folders
from helpers.tiny_model import read_array, write_tiny_model

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.scores.image_quality import image_quality
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.sweep.snapshots import load_snapshot
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def folders(tmp_path):
    return labelled_folders(tmp_path)


class TestSummary:
    def test_what_a_comparison_needs(self, tiny_model, tmp_path):
        found = evaluate(tiny_model, None, output=tmp_path, subsets=["T1", "FLAIR"])
        summary = json.loads((tmp_path / "summary.json").read_text())
        assert summary == json.loads(json.dumps(found.summary.to_json()))
        assert summary["folds"] == ["0", "1"]
        assert summary["case_folds"] == {"case_00": ["0"], "case_05": ["0"], "case_01": ["1"]}
        assert summary["labels"] == {"whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": [3]}
        assert set(summary["conventions"]) == set(summary["mean"]["metrics"]) == set(MetricOptions().columns)
        assert summary["cases"] == 3 and summary["postprocessing"] is None

    def test_a_slice_of_every_case_is_kept_for_the_report(self, tiny_model, folders):
        evaluate(tiny_model, **folders, subsets=["T1", "T1+T2"])
        snapshot = load_snapshot(folders["output"], "a")
        assert set(snapshot.predictions) == {"T1", "T1+T2"}
        truth = read_array(folders["labels"] / "a.nii.gz")
        assert snapshot.position == (truth > 0).sum(axis=(1, 2)).argmax()
        assert (snapshot.truth > 0).sum() == (truth[snapshot.position] > 0).sum()


class TestRemoval:
    def test_small_predictions_are_removed_and_named(self, tiny_model, folders, tmp_path):
        first = {**folders, "output": tmp_path / "first"}
        evaluate(tiny_model, **first, subsets=["T1"], save_predictions=True)
        file = first["output"] / "predictions" / "T1" / "a.nii.gz"
        before = read_array(file)
        number = int((before == 3).sum())
        assert number > 0
        # So that there is something to lose, whatever the random weights predict.
        sitk.WriteImage(sitk.ReadImage(str(file)), str(folders["labels"] / "a.nii.gz"))
        plain = evaluate(tiny_model, **folders, subsets=["T1"])
        flags = {"subsets": ["T1"], "save_predictions": True, "remove_small": ("enhancing tumor", number + 1)}
        found = evaluate(tiny_model, **folders, **flags)
        file = folders["output"] / "predictions" / "T1" / "a.nii.gz"
        assert (read_array(file) == np.where(before == 3, 2, before)).all()
        dice = [{row["region"]: row["dice"] for row in each.evaluation.rows} for each in (plain, found)]
        assert dice[0]["tumor core"] == dice[1]["tumor core"]
        assert dice[1]["enhancing tumor"] == 0 < dice[0]["enhancing tumor"]
        text = f"'enhancing tumor' of fewer than {number + 1} voxels"
        assert text in found.summary.postprocessing and text in found.table
        assert found.summary.settings["remove_small"] == ["enhancing tumor", number + 1]

    def test_unknown_region(self, tiny_model, folders):
        with pytest.raises(SettingsError, match=r"no region 'edema'. This dataset has: whole tumor"):
            evaluate(tiny_model, **folders, remove_small=("edema", 5))


class TestCompletion:
    def test_rows(self, tiny_model, folders, tmp_path):
        """T1c has no file: nothing to compare with. The rest is what prediction completes."""
        (folders["images"] / "a_0001.nii.gz").unlink()
        found = evaluate(tiny_model, **folders, subsets=["T1", "T1+FLAIR", "T1+T2+FLAIR"], completion=True)
        rows = found.evaluation.completion
        compared = [(row["subset"], row["modality"]) for row in rows if row["tissue"] == "brain"]
        assert sorted(compared) == [("T1", "FLAIR"), ("T1", "T2"), ("T1+FLAIR", "T2")]
        with (folders["output"] / "completion.csv").open() as stream:
            (*_, last) = csv.DictReader(stream)
        assert list(last) == ["case", "subset", "n_modalities", "modality", "tissue", "psnr", "ssim"]
        options = PredictionOptions(available=("T1",), sampling=SamplingOptions(0, save_completed="missing"))
        predictor = HeteroModalPredictor(options=options, use_mirroring=False, device=torch.device("cpu"))
        predictor.initialize_from_trained_model_folder(str(tiny_model.folder), [0])
        predictor.predict_from_files_sequential(str(folders["images"]), str(tmp_path / "predicted"))
        completed = read_array(tmp_path / "predicted" / "completed" / "a_0002.nii.gz")
        real, truth = (
            read_array(folders[what] / name) for what, name in (("images", "a_0002.nii.gz"), ("labels", "a.nii.gz"))
        )
        expected = image_quality(completed, real, truth > 0)
        own = [row for row in rows if (row["subset"], row["modality"]) == ("T1", "T2")]
        for row in own:
            for score in ("psnr", "ssim"):
                assert row[score] == pytest.approx(expected[f"{score}_{row['tissue']}"], rel=1e-3)
        means = {(row["subset"], row["modality"], row["tissue"]): row["psnr"] for row in found.summary.completion}
        assert means["T1", "T2", "tumour"] == pytest.approx(own[1]["psnr"])
        assert "z-scored" in found.summary.conventions["psnr"]

    def test_continues(self, tiny_model, folders):
        first = evaluate(tiny_model, **folders, subsets=["T1", "T2"], completion=True)
        second = evaluate(tiny_model, **folders, subsets=["T1", "T2", "FLAIR"], completion=True)
        assert second.evaluation.completion[: len(first.evaluation.completion)] == first.evaluation.completion

    def test_model_without_image_decoders(self, folders, tmp_path):
        model = write_tiny_model(tmp_path / "model", settings={"image_decoders": False})
        with pytest.raises(SettingsError, match=r"--completion: the model has no image decoders"):
            evaluate(model, **folders, completion=True)
