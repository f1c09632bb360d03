"""Arguments of nnU-Net's commands that cannot work are refused before nnU-Net sees them."""

from __future__ import annotations

import shutil

import pytest
import torch

from nnunet_hetero.errors import HeteroError, SettingsError
from nnunet_hetero.integration.nnunet_arguments import (
    require_output_folder,
    require_possible_prediction,
    require_possible_training,
)


@pytest.fixture
def arguments(nnunet_folders, tmp_path):
    (tmp_path / "images").mkdir()
    places = ["-i", str(tmp_path / "images"), "-o", str(tmp_path / "out")]
    return [*places, "-d", "501", "-c", "3d_fullres", "-device", "cpu"]


class TestPrediction:
    def test_possible(self, arguments):
        require_possible_prediction([*arguments, "-f", "0", "all", "-npp", "0", "-step_size", "1", "-part_id", "0"])

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (["-npp", "-1"], "-npp: '-1' is no whole number, 0 or more"),
            (["-nps", "x"], "-nps: 'x' is no whole number"),
            (["-step_size", "0"], "-step_size: '0' is no number above 0 up to 1"),
            (["-step_size", "1.5"], "-step_size: '1.5'"),
            (["-f", "0", "abc"], "-f: 'abc' is no fold"),
            (["-num_parts", "0"], "-num_parts: '0'"),
            (["-num_parts", "2", "-part_id", "2"], "-part_id is 2, but -num_parts is 2"),
            (["-part_id", "-1"], "-part_id: '-1'"),
            (["-device", "foo"], "-device foo: nnU-Net takes cuda, cpu, mps"),
            (["-device", "cuda:7"], "-device cuda:7: nnU-Net takes"),
            (["-d", "999"], "999"),
            (["-d", "x"], "x"),
            (["-i", "nowhere"], "-i nowhere is no folder"),
        ],
        ids=str,
    )
    def test_impossible(self, arguments, flags, words):
        with pytest.raises(SettingsError) as refusal:
            require_possible_prediction([*arguments, *flags])
        assert words in str(refusal.value)

    def test_no_driver(self, arguments, monkeypatch):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(SettingsError, match="no CUDA device"):
            require_possible_prediction(arguments[:-2])

    def test_output(self, tmp_path):
        (tmp_path / "file").touch()
        (tmp_path / "loop").symlink_to(tmp_path / "loop")
        for name, what in (("file", "a file"), ("file/below", "a file"), ("loop", "a link"), ("loop/x", "a link")):
            with pytest.raises(SettingsError, match=f"cannot be the output folder: .* is {what}"):
                require_output_folder(tmp_path / name)
        require_output_folder(tmp_path / "new" / "er")


class TestTraining:
    @pytest.fixture
    def folder(self, nnunet_folders, tmp_path, monkeypatch):
        """Of the preprocessed data set."""
        shutil.copytree(nnunet_folders.preprocessed, tmp_path / "preprocessed")
        monkeypatch.setenv("nnUNet_preprocessed", str(tmp_path / "preprocessed"))
        folder = tmp_path / "preprocessed" / nnunet_folders.dataset
        (folder / "nnUNetPlans_3d_fullres").mkdir()
        return folder

    COMMAND = ("501", "3d_fullres", "0", "-device", "cpu", "-tr", "HeteroModalVAETrainer")

    def test_possible(self, folder):
        require_possible_training(self.COMMAND)

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("501", "3d_fullres", "abc"), "the fold: 'abc' is no fold"),
            (("501", "3d_lowres", "0"), "3d_lowres not found in plans"),
            (("999", "3d_fullres", "0"), "999"),
            (("501", "3d_fullres", "0", "-p", "Other"), "Other.json is not there"),
            (("501", "3d_fullres", "0", "-num_gpus", "0"), "-num_gpus: '0'"),
            (("501", "3d_fullres", "0", "-device", "foo"), "-device foo"),
        ],
        ids=str,
    )
    def test_impossible(self, folder, arguments, words):
        with pytest.raises(SettingsError) as refusal:
            require_possible_training([*self.COMMAND[3:], *arguments])
        assert words in str(refusal.value)

    def test_not_preprocessed(self, folder):
        (folder / "nnUNetPlans_3d_fullres").rmdir()
        with pytest.raises(SettingsError, match="nnUNetv2_preprocess -d 501 -c 3d_fullres -plans_name nnUNetPlans"):
            require_possible_training(self.COMMAND)

    @pytest.mark.parametrize("name", ["dataset.json", "nnUNetPlans.json", "splits_final.json"])
    def test_broken_files(self, folder, name):
        (folder / name).write_text("{")
        with pytest.raises(HeteroError, match=f"{name} is not valid JSON"):
            require_possible_training(self.COMMAND)
