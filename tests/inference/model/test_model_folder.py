"""The folder of a trained model."""

from __future__ import annotations

import re
import shutil

import pytest
import torch
from helpers.predicted import make_predictor, modalities_json, predict
from helpers.tiny_model import (
    tiny_checkpoint,
    tiny_dataset_json,
    tiny_plans,
    write_case,
    write_json,
    write_tiny_model,
)

from nnunet_hetero.errors import SettingsError


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


class TestModelFolder:
    @pytest.fixture
    def copy(self, tiny_model, tmp_path):
        return shutil.copytree(tiny_model.folder, tmp_path / "model")

    def test_no_folder(self, tmp_path):
        with pytest.raises(SettingsError, match=r"no trained model at .*nnUNet_results.*-d.*-tr.*-p.*-c"):
            make_predictor(tmp_path / "nowhere")

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (
                {"folds": (0, 1, 2, 3, 4)},
                r"no checkpoint_final.pth for fold\(s\) 2, 3, 4. It has: fold_0/checkpoint_final",
            ),
            ({"checkpoint": "checkpoint_best.pth"}, "no checkpoint_best.pth for fold.*-f and -chk"),
            ({"folds": None, "checkpoint": "x.pth"}, r"no x.pth for fold\(s\) any"),
        ],
    )
    def test_no_checkpoint(self, tiny_model, arguments, message):
        with pytest.raises(SettingsError, match=message):
            make_predictor(tiny_model.folder, **arguments)

    @pytest.mark.parametrize("name", ["plans.json", "dataset.json"])
    def test_file_is_gone(self, copy, name):
        (copy / name).unlink()
        with pytest.raises(SettingsError, match=f"has no {name}"):
            make_predictor(copy)

    def test_checkpoint_of_another_trainer(self, copy):
        checkpoint = tiny_checkpoint(tiny_plans(), tiny_dataset_json(), "nnUNetTrainer")
        torch.save(checkpoint, copy / "fold_0" / "checkpoint_final.pth")
        with pytest.raises(
            SettingsError, match=r"trainer 'nnUNetTrainer', which cannot handle missing modalities.*-tr"
        ):
            make_predictor(copy)

    def test_checkpoint_of_a_trainer_that_is_nowhere(self, copy):
        file = copy / "fold_0" / "checkpoint_final.pth"
        torch.save({**torch.load(file, weights_only=False), "trainer_name": "LostTrainer"}, file)
        with pytest.raises(SettingsError, match=r"LostTrainer(.|\n)*doctor"):
            make_predictor(copy)

    def test_plans_of_another_number_of_channels(self, copy):
        channels = ("T1", "T1c", "T2")
        write_json(copy / "dataset.json", tiny_dataset_json(channels))
        write_json(copy / "plans.json", tiny_plans(channels))
        message = r'channel_names is \["T1", "T1c", "T2"\], in training it was \["T1", "T1c", "T2", "FLAIR"\]'
        with pytest.raises(SettingsError, match=message):
            make_predictor(copy)

    def test_other_names_and_normalisation(self, tmp_path):
        """A CT scheme shifts zeros; the absent channel must stay zero."""
        model = write_tiny_model(tmp_path / "ct", channels=("CT", "PET"), scheme="CTNormalization")
        write_case(tmp_path / "images", "a", channels=("CT", "PET"))
        switched_off = predict(make_predictor(model.folder, missing=["pet"]), tmp_path / "images", tmp_path / "1")
        (tmp_path / "images" / "a_0001.nii.gz").unlink()
        absent = predict(make_predictor(model.folder), tmp_path / "images", tmp_path / "2")
        assert (switched_off["a"] == absent["a"]).all()
        assert re.fullmatch(r"\{'a': .*'used': \['CT'\].*", str(modalities_json(tmp_path / "2")))
