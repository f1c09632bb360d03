"""Prediction with missing modalities, on a tiny model with random weights."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.kept import KEPT
from helpers.predicted import label_maps, make_predictor, modalities_json, predict, probabilities
from helpers.tiny_model import (
    read_array,
    write_case,
    write_image,
)

from nnunet_hetero.errors import DataError, SettingsError


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture(scope="module")
def predictors(tiny_model):
    """Make each predictor once: ``predictors(missing=["t1c"])``."""
    made = {}

    def get(**arguments):
        key = json.dumps(arguments, sort_keys=True)
        if key not in made:
            made[key] = make_predictor(tiny_model.folder, **arguments)
        return made[key]

    return get


class TestMissing:
    def test_switched_off_absent_and_empty_are_the_same(self, tmp_path, predictors):
        full, without, empty = tmp_path / "full", tmp_path / "without", tmp_path / "empty"
        for folder, present in ((full, None), (without, (0, 2, 3)), (empty, (0, 2, 3))):
            write_case(folder, "a", present)
        write_image(empty / "a_0001.nii.gz", np.zeros((20, 18, 22), np.int16))
        runs = [
            (predictors(missing=["t1c"]), full, "switched off"),
            (predictors(available=["FLAIR", "0", "t2"]), full, "switched off"),
            (predictors(), without, "no file"),
            (predictors(), empty, "empty image"),
        ]
        for number, (predictor, images, reason) in enumerate(runs):
            output = tmp_path / str(number)
            predict(predictor, images, output, save_probabilities=True)
            orientation = {"stored": "LPS", "model": "LPS", "oblique_degrees": 0.0}
            entry = {"used": ["T1", "T2", "FLAIR"], "absent": {"T1c": reason}, "orientation": orientation}
            assert modalities_json(output) == {"a": entry}
            assert (label_maps(output)["a"] == label_maps(tmp_path / "0")["a"]).all()
            assert (probabilities(output) == probabilities(tmp_path / "0")).all()

    def test_modality_matters_unless_it_is_missing(self, tmp_path, predictors):
        write_case(tmp_path / "images", "a")
        other = shutil.copytree(tmp_path / "images", tmp_path / "other")
        write_image(other / "a_0001.nii.gz", 100 - 3 * read_array(other / "a_0001.nii.gz"), origin=(9, 9, 9))
        write_image(tmp_path / "images" / "a_0001.nii.gz", read_array(tmp_path / "images" / "a_0001.nii.gz"))
        for images in ("images", "other"):
            predict(predictors(missing=["t1c"]), tmp_path / images, tmp_path / f"off_{images}", save_probabilities=True)
        write_image(other / "a_0001.nii.gz", 100 - 3 * read_array(tmp_path / "images" / "a_0001.nii.gz"))
        for images in ("images", "other"):
            predict(predictors(), tmp_path / images, tmp_path / f"on_{images}", save_probabilities=True)
        assert (probabilities(tmp_path / "off_images") == probabilities(tmp_path / "off_other")).all()
        assert (probabilities(tmp_path / "on_images") != probabilities(tmp_path / "on_other")).any()
        assert (probabilities(tmp_path / "on_images") != probabilities(tmp_path / "off_images")).any()

    def test_subset_is_that_of_the_case_not_of_the_tile(self, predictors, monkeypatch):
        """In a tile where a present modality is zero, the model still hears that it is present; mirrored tiles too."""
        predictor = predictors(use_mirroring=True)
        heard = []
        encode = predictor.network.encode_each

        def spy(x, available):
            heard.append(available.tolist())
            return encode(x, available)

        monkeypatch.setattr(predictor.network, "encode_each", spy)
        data = torch.zeros(4, 40, 16, 16)
        data[0] = torch.randn(data.shape[1:], generator=torch.Generator().manual_seed(0))
        data[3, :4] = 1.0
        predictor.predict_logits_from_preprocessed_data(data)
        assert sum(map(len, heard)) == 8 * 4  # 4 tiles, mirrored along 3 axes
        assert all(row == [True, False, False, True] for available in heard for row in available)

    def test_line_per_case(self, tmp_path, predictors, capsys):
        write_case(tmp_path / "images", "BraTS_001", present=(0, 2, 3))
        predict(predictors(), tmp_path / "images", tmp_path / "out")
        assert "BraTS_001: T1+T2+FLAIR (absent: T1c)\n" in capsys.readouterr().out

    @pytest.mark.parametrize("names", [["T1Gd"], ["t1", "T1"], ["T1", "T1c", "T2", "FLAIR"]])
    def test_wrong_names_are_told_before_any_prediction(self, tiny_model, names):
        with pytest.raises(SettingsError):
            make_predictor(tiny_model.folder, missing=names)

    def test_arrays_instead_of_files(self, predictors, tiny_model):
        image = np.stack([read_array(tiny_model.images / f"case_00_{channel:04d}.nii.gz") for channel in range(4)])
        image[1] = 0
        label_map = predictors().predict_single_npy_array(image, {"spacing": [1.0, 1.0, 1.0]})
        assert label_map.shape == image.shape[1:]


class TestBadCases:
    def test_others_go_on(self, tmp_path, predictors):
        images = tmp_path / "images"
        for name in ("a", "b", "c", "d", "e"):
            write_case(images, name)
        (images / "b_0002.nii.gz").write_bytes((images / "b_0002.nii.gz").read_bytes()[:-500])
        write_image(images / "c_0001.nii.gz", np.arange(64, dtype=np.float32).reshape(4, 4, 4))
        write_image(images / "d_0007.nii.gz", np.ones((20, 18, 22), np.float32))
        predictor = predictors(missing=["t1"])
        assert sorted(predict(predictor, images, tmp_path / "out")) == ["a", "e"]
        assert sorted(predictor.failed) == ["b", "c", "d"]
        for case, parts in {
            "b": ["channel 2 (T2)", "b_0002.nii.gz", "truncated"],
            "c": ["channel 2 (T2)", "another grid than T1c"],
            "d": ["d_0007.nii.gz", "channel 7"],
        }.items():
            assert all(part in predictor.failed[case] for part in parts), predictor.failed[case]
        assert sorted(modalities_json(tmp_path / "out")) == ["a", "e"]
        write_case(tmp_path / "good", "a")
        predict(predictor, tmp_path / "good", tmp_path / "out")
        assert predictor.failed == {}

    def test_no_good_case(self, tmp_path, predictors):
        write_case(tmp_path / "images", "a", present=(1,))
        with pytest.raises(DataError, match=r"None of the 1 case\(s\)(.|\n)*Case 'a' has no modality left"):
            predict(predictors(missing=["t1c"]), tmp_path / "images", tmp_path / "out")


class TestNnunetsOptions:
    def test_files_beside_the_predictions(self, tmp_path, predictors):
        write_case(tmp_path / "images", "a")
        predict(predictors(), tmp_path / "images", tmp_path / "out", save_probabilities=True)
        assert sorted(file.name for file in (tmp_path / "out").iterdir() if not file.name.startswith(".")) == [
            "a.nii.gz",
            "a.npz",
            "a.pkl",
            "dataset.json",
            "modalities.json",
            "plans.json",
            "predict_from_raw_data_args.json",
            "run.json",
            "volumes.csv",
        ]
        assert probabilities(tmp_path / "out").shape == (3, 20, 18, 22)

    def test_probabilities_of_several_folds_are_averaged(self, predictors):
        data = torch.randn(4, 16, 16, 16, generator=torch.Generator().manual_seed(0))
        data[2:] = 0
        first, second, both = (
            predictors(folds=folds, num_samples=0).predict_logits_from_preprocessed_data(data).sigmoid()
            for folds in ([0], [1], [0, 1])
        )
        assert (first != second).any()
        torch.testing.assert_close(both, (first + second) / 2)

    def test_folds_are_found(self, tiny_model):
        assert len(make_predictor(tiny_model.folder, folds=None).list_of_parameters) == 2

    def test_continue(self, tmp_path, predictors):
        write_case(tmp_path / "images", "a")
        predict(predictors(missing=["t1"]), tmp_path / "images", tmp_path / "out")
        (tmp_path / "out" / "a.nii.gz").write_bytes(KEPT)
        write_case(tmp_path / "images", "b", present=(0, 1))
        predictors(missing=["t1"]).predict_from_files_sequential(
            str(tmp_path / "images"), str(tmp_path / "out"), overwrite=False
        )
        assert (tmp_path / "out" / "a.nii.gz").read_bytes() == KEPT
        assert {case: entry["used"] for case, entry in modalities_json(tmp_path / "out").items()} == {
            "a": ["T1c", "T2", "FLAIR"],
            "b": ["T1c"],
        }

    def test_continue_needs_the_probabilities_if_asked_for(self, tmp_path, predictors):
        write_case(tmp_path / "images", "a")
        for _ in range(2):
            predict(predictors(), tmp_path / "images", tmp_path / "out", overwrite=False, save_probabilities=_ == 1)
        assert (tmp_path / "out" / "a.npz").is_file()

    def test_parts(self, tmp_path, predictors):
        for name in "abc":
            write_case(tmp_path / "images", name)
        seen = []
        for part in range(2):
            predictors().predict_from_files(
                str(tmp_path / "images"),
                str(tmp_path / "out"),
                num_processes_preprocessing=0,
                num_processes_segmentation_export=0,
                num_parts=2,
                part_id=part,
            )
            seen.append(sorted(label_maps(tmp_path / "out")))
        assert seen == [["a", "c"], ["a", "b", "c"]]
        assert sorted(modalities_json(tmp_path / "out")) == ["a", "b", "c"]

    def test_background_processes_give_the_same(self, tmp_path, predictors):
        for number, name in enumerate("abc"):
            write_case(tmp_path / "images", name, present=(0, number + 1), seed=number)
        (tmp_path / "images" / "b_0002.nii.gz").write_bytes(b"")
        expected = predict(predictors(), tmp_path / "images", tmp_path / "here")
        predictors().predict_from_files(
            str(tmp_path / "images"),
            tmp_path / "there",  # a Path, which nnU-Net itself would not write to
            num_processes_preprocessing=1,
            num_processes_segmentation_export=1,
        )
        found = label_maps(tmp_path / "there")
        assert sorted(found) == sorted(expected) == ["a", "c"]
        assert all((found[case] == expected[case]).all() for case in found)
        assert sorted(predictors().failed) == ["b"]

    def test_results_instead_of_files(self, tmp_path, predictors):
        files = write_case(tmp_path / "images", "a", present=(3, 1))
        (result,) = predictors().predict_from_files_sequential([[str(file) for file in files]], None)
        expected = predict(predictors(), tmp_path / "images", tmp_path / "out")["a"]
        assert (result == expected).all()

    def test_previous_stage_is_refused(self, tmp_path, predictors):
        with pytest.raises(SettingsError, match="-prev_stage_predictions"):
            predict(predictors(), tmp_path, tmp_path / "out", folder_with_segs_from_prev_stage=str(tmp_path))
