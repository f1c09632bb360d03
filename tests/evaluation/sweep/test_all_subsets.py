"""The sweep over subsets, on a tiny model with random weights: results, what subsets share, cases."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.evaluation import REGIONS, evaluate, labelled_folders, predict_alone
from helpers.tiny_model import SHAPE, read_array, write_case, write_image, write_json, write_tiny_model

from nnunet_hetero.cases.preprocess import preprocess
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.scores.overlap import measure
from nnunet_hetero.evaluation.sweep import inputs
from nnunet_hetero.inference.engine.model import LoadedModel


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def folders(tmp_path):
    return labelled_folders(tmp_path)


class TestAgreesWithPrediction:
    @pytest.mark.parametrize(
        ("folds", "num_samples", "mirroring"), [([0], 0, False), ([0, 1], 3, False), ([0, 1], 0, True)]
    )
    def test_label_maps_and_scores(self, tiny_model, tmp_path, folds, num_samples, mirroring):
        """T2 and FLAIR have larger heads than T1 and T1c: nnU-Net's crop and normalisation depend on the subset.

        Views are added up in another order than in a prediction alone. The case is one without a voxel whose mean of
        them is 0.5 to the last bit.
        """
        folders = labelled_folders(tmp_path, seed=4)
        subsets = ["T1", "T2", "T1+T1c", "T1c+T2", "T2+FLAIR", "T1+T1c+T2+FLAIR"]
        sampling = {"num_samples": num_samples, "seed": 7}
        options = MetricOptions.of(["all"])
        flags = {"subsets": subsets, "save_predictions": True, "metrics": options, "mirroring": mirroring}
        found = evaluate(tiny_model, folds, **folders, **sampling, **flags)
        truth = read_array(folders["labels"] / "a.nii.gz")
        maps = []
        for subset in subsets:
            predicted = predict_alone(tiny_model, folders, subset, tmp_path / subset, folds, mirroring, **sampling)
            maps.append(read_array(tmp_path / "out" / "predictions" / subset / "a.nii.gz"))
            assert (maps[-1] == predicted).all()
            expected = measure(predicted, truth, REGIONS, (1.0, 1.0, 1.0), options)
            rows = {row["region"]: row for row in found.evaluation.rows if row["subset"] == subset}
            for region, scores in expected.items():
                assert {column: rows[region][column] for column in scores} == pytest.approx(scores, nan_ok=True)
        assert any((maps[0] != other).any() for other in maps[1:])

    def test_files_have_the_grid_of_their_own_image(self, tiny_model, folders):
        """Positions that differ by rounding are accepted; a prediction lies where its first image does."""
        write_image(
            folders["images"] / "a_0002.nii.gz", read_array(folders["images"] / "a_0002.nii.gz"), 1.0, (5e-4, 0, 0)
        )
        evaluate(tiny_model, **folders, subsets=["T1+T2", "T2"], save_predictions=True)
        for subset, origin in (("T1+T2", 0.0), ("T2", 5e-4)):
            image = sitk.ReadImage(str(folders["output"] / "predictions" / subset / "a.nii.gz"))
            assert image.GetOrigin()[0] == pytest.approx(origin, abs=1e-6)

    @pytest.mark.parametrize("trainer", ["UHeMISTrainer", "ModalityDropoutTrainer", "UHVEDPaperTrainer"])
    def test_other_trainers(self, folders, tmp_path, trainer):
        model = write_tiny_model(tmp_path / "model", trainer=trainer)
        subsets = ["T1", "T1c", "T1+T1c", "T2+FLAIR", "T1+T1c+T2+FLAIR"]
        found = evaluate(model, **folders, subsets=subsets, save_predictions=True, num_samples=2)
        stochastic = trainer == "UHVEDPaperTrainer"
        assert found.summary.settings["num_samples"] == (2 if stochastic else 0)
        for subset in subsets:
            written = read_array(folders["output"] / "predictions" / subset / "a.nii.gz")
            assert (written == predict_alone(model, folders, subset, tmp_path / subset, num_samples=2)).all()
        if not stochastic:
            with pytest.raises(SettingsError, match="--completion: the model has no image decoders"):
                evaluate(model, **folders, completion=True)

    def test_trainer_of_one_subset(self, folders, tmp_path):
        model = write_tiny_model(tmp_path / "model", trainer="SubsetTrainer", settings={"subset": [0, 3]})
        found = evaluate(model, **folders, save_predictions=True)
        assert [entry.subset for entry in found.summary.subsets] == ["T1+FLAIR"]
        written = read_array(folders["output"] / "predictions" / "T1+FLAIR" / "a.nii.gz")
        assert (written == predict_alone(model, folders, "T1+FLAIR", tmp_path / "alone", num_samples=0)).all()
        with pytest.raises(SettingsError, match=r"'T1' is not for this network"):
            evaluate(model, **folders, subsets=["T1"])


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
        assert found.summary.cases == 2
        assert "WARNING: fold 'all' trained on every case" in capsys.readouterr().out

    def test_fold_all_has_no_cases_of_its_own(self, tmp_path):
        with pytest.raises(SettingsError, match="do not evaluate it together with others"):
            evaluate(write_tiny_model(tmp_path, folds=(0, "all")), [0, "all"])

    def test_case_that_lacks_modalities(self, tiny_model, folders):
        write_case(folders["images"], "b", present=(0, 3), labels=folders["labels"])
        write_image(folders["images"] / "b_0000.nii.gz", np.zeros(SHAPE, np.uint8))
        found = evaluate(tiny_model, **folders)
        assert {row["subset"] for row in found.evaluation.rows if row["case"] == "b"} == {"FLAIR"}
        assert len(found.summary.skipped["b"]) == 14
        cases = {entry.subset: entry.cases for entry in found.summary.subsets}
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
        assert "label map" in found.summary.failed["b"]
        assert "lies on another grid than T1: shape (21, 18, 20)" in found.summary.failed["b"]

    def test_no_good_case(self, tiny_model, folders):
        write_image(folders["labels"] / "a.nii.gz", np.zeros((20, 18, 21), np.uint8))
        with pytest.raises(DataError, match=r"No case could be evaluated.(.|\n)*another grid"):
            evaluate(tiny_model, **folders)

    @pytest.mark.parametrize(("variable", "name"), [("nnUNet_raw", "dataset"), ("nnUNet_preprocessed", "splits_final")])
    def test_dataset_is_not_there(self, tiny_model, tmp_path, monkeypatch, variable, name):
        monkeypatch.setenv(variable, str(tmp_path))
        with pytest.raises(DataError, match=f"{name}.* is not there"):
            evaluate(tiny_model, output=tmp_path)

    def test_one_case_only(self, tiny_model, folders):
        found = evaluate(tiny_model, **folders, subsets=["T1"])
        assert found.summary.cases == 1
        assert "One case only" in found.table

    def test_region_that_is_empty_in_every_case(self, tiny_model, folders, monkeypatch, recwarn):
        write_image(folders["labels"] / "a.nii.gz", np.zeros(SHAPE, np.uint8))
        monkeypatch.setattr(LoadedModel, "to_segmentation", lambda self, logits, properties: np.zeros(SHAPE, np.uint8))
        found = evaluate(tiny_model, **folders, subsets=["T1", "T2"], metrics=MetricOptions.of(["all"]))
        assert found.summary.empty_regions == tuple(REGIONS)
        means = found.summary.overall
        assert means.mean is None and set(means.dice.values()) == {None}
        assert means.scores["lesion_dice"].mean == 1.0 and means.scores["hd95"].mean is None
        assert "'tumor core' is empty in the truth and the prediction of every case" in found.table
        json.dumps(found.summary.to_json(), allow_nan=False)
        with (folders["output"] / "metrics.csv").open() as stream:
            assert {row["dice"] for row in csv.DictReader(stream)} == {""}
        assert not [warning for warning in recwarn if "Mean of empty" in str(warning.message)]

    def test_subset_without_results(self, tiny_model, folders):
        (folders["images"] / "a_0001.nii.gz").unlink()
        found = evaluate(tiny_model, **folders, subsets=["T1", "T1c", "T1+T1c"])
        assert [entry.subset for entry in found.summary.subsets] == ["T1"]
        assert found.summary.subsets_without_results == ("T1c", "T1+T1c")
        assert "no case has all of the modalities: T1c, T1+T1c." in found.table

    def test_constant_image_counts_as_absent(self, tiny_model, folders):
        write_image(folders["images"] / "a_0000.nii.gz", np.full(SHAPE, 7, np.float32))
        found = evaluate(tiny_model, **folders, subsets=["T1", "T1+T2", "T2"])
        assert {row["subset"] for row in found.evaluation.rows} == {"T2"}
        assert found.summary.skipped == {"a": ["T1", "T1+T2"]} and not found.summary.failed

    def test_image_that_cannot_be_preprocessed_spoils_only_the_subsets_that_have_it(
        self, tiny_model, folders, monkeypatch
    ):
        def refuse(images, *arguments):
            if 3 in images.used:
                raise DataError("FLAIR cannot be used.")
            return preprocess(images, *arguments)

        monkeypatch.setattr(inputs, "preprocess", refuse)
        found = evaluate(tiny_model, **folders, subsets=["T2", "FLAIR", "T2+FLAIR"])
        assert {row["subset"] for row in found.evaluation.rows} == {"T2"}
        assert found.summary.subsets_without_results == ("FLAIR", "T2+FLAIR")
        with pytest.raises(DataError, match=r"FLAIR cannot be used"):
            evaluate(tiny_model, **{**folders, "output": folders["output"] / "2"}, subsets=["FLAIR"])

    def test_nothing_but_constant_images(self, tiny_model, folders):
        for channel in range(4):
            write_image(folders["images"] / f"a_{channel:04d}.nii.gz", np.full(SHAPE, 7, np.float32))
        with pytest.raises(DataError, match=r"No case could be evaluated.(.|\n)*constant"):
            evaluate(tiny_model, **folders)

    def test_case_in_two_folds(self, tiny_model, tmp_path, monkeypatch):
        splits = [{"train": ["case_01"], "val": ["case_00", "case_02"]}, {"train": ["case_01"], "val": ["case_02"]}]
        folder = tmp_path / tiny_model.dataset
        write_json(folder / "splits_final.json", splits)
        monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path))
        with pytest.raises(SettingsError, match="Case 'case_02' is a validation case of the folds 0 and 1"):
            evaluate(tiny_model, None, output=tmp_path / "out")


class TestLabels:
    """What a label map has that the data set does not."""

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda label: np.where(label == 3, 4, label),
                "0, 1, 2, 4; expected only 0, 1, 2, 3. By their order they may mean: 4 is 3",
            ),
            (lambda label: 85 * label, "0, 85, 170, 255; expected only 0, 1, 2, 3. They look like labels times 85"),
            (lambda label: 0.99 * label.astype(np.float32), "0, 0.99, 1.98, 2.97; expected only 0, 1, 2, 3"),
        ],
    )
    def test_other_labels_are_refused(self, tiny_model, folders, change, message):
        file = folders["labels"] / "a.nii.gz"
        write_image(file, change(read_array(file)))
        with pytest.raises(DataError, match=f"(?s)No case could be evaluated.*a.nii.gz has the labels {message}"):
            evaluate(tiny_model, **folders, subsets=["T1"])

    def test_all_but_whole_numbers_are_rounded(self, tiny_model, folders, tmp_path, capsys):
        expected = evaluate(tiny_model, **folders, subsets=["T1"]).evaluation.rows
        file = folders["labels"] / "a.nii.gz"
        write_image(file, read_array(file).astype(np.float32) * np.float32(0.9999999))
        again = evaluate(tiny_model, **{**folders, "output": tmp_path / "again"}, subsets=["T1"])
        assert again.evaluation.rows == expected
        assert "0.9999999, 1.9999998, 2.9999995, which are rounded to 0, 1, 2, 3" in capsys.readouterr().out
