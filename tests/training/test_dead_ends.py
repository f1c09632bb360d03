"""What a training says before it begins, because it would show after days."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from helpers.tiny_dataset import new_dataset, plan_and_preprocess
from skimage import io

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.training.dead_ends import (
    USUAL_SCALE,
    describe_scale,
    files_by_case,
    require_file_per_modality,
    scales,
    warnings,
)

MODALITIES = Modalities(("T1", "T1c"))
ZSCORE = "ZScoreNormalization"


class Images:
    """Stands for nnU-Net's dataset: one case, the values of a channel multiplied by its scale."""

    def __init__(self, *scale: float):
        self.scale = scale
        self.identifiers = ["a"]

    def load_case(self, case: str):
        random = np.random.default_rng(0)
        images = np.stack([random.normal(0, 1, (6, 6, 6)) * scale for scale in self.scale]).astype(np.float32)
        images[:, :2] = 0
        return images, None, None, {}


class TestScale:
    def test_is_that_of_values_which_are_not_zero(self):
        found = scales(Images(1, 100, 0), 3)
        assert found == {0: pytest.approx(1, rel=0.2), 1: pytest.approx(100, rel=0.2)}

    @pytest.mark.parametrize("scale", [0.3, 1, 5])
    def test_usual_ones_are_not_spoken_of(self, scale):
        assert warnings(MODALITIES, [ZSCORE] * 2, Images(scale, 1)) == []

    @pytest.mark.parametrize("scale", [1e-3, 100, 3000])
    def test_others_are(self, scale):
        (line,) = warnings(MODALITIES, ["NoNormalization", ZSCORE], Images(scale, 1))
        assert line.startswith("the values of T1 are about") and "(NoNormalization)" in line
        assert "nnUNetv2_plan_and_preprocess" in line

    def test_what_nnunet_makes_of_images_is_usual(self):
        values = np.random.default_rng(0).uniform(0, 1, 1000)
        for typical in (values, (values - values.mean()) / values.std()):
            assert USUAL_SCALE[0] < np.sqrt(np.mean(typical**2)) < USUAL_SCALE[1]
        assert describe_scale("T1", "NoNormalization", 1234.5).startswith("the values of T1 are about 1.2e+03")


def test_one_modality():
    (line,) = warnings(Modalities(("CT",)), [ZSCORE], Images(1))
    assert "has one modality (CT)" in line and "-tr nnUNetTrainer" in line


class TestFiles:
    def test_one_for_each(self):
        require_file_per_modality(MODALITIES, {"a": ["x/a_0000.png", "x/a_0001.png"]}, ["a", "not known"])

    @pytest.mark.parametrize("files", [["x/a_0000.png"], [], ["a_0000.png", "a_0001.png", "a_0002.png"]])
    def test_any_other_number(self, files):
        with pytest.raises(DataError, match=rf"Case 'a' has {len(files)} image file\(s\).* names 2 modalities"):
            require_file_per_modality(MODALITIES, {"a": files}, ["a"])


class TestTraining:
    def test_says_nothing_of_a_usual_dataset(self, make_trainer, capsys):
        trainer = make_trainer()
        trainer.prepare_inputs()
        trainer.get_tr_and_val_datasets()
        assert "WARNING" not in capsys.readouterr().out

    def test_without_the_raw_images_nothing_is_known(self, make_trainer, monkeypatch, tmp_path):
        trainer = make_trainer()
        assert set(map(len, files_by_case(trainer).values())) == {4}
        monkeypatch.setenv("nnUNet_raw", str(tmp_path / "nowhere"))
        assert files_by_case(trainer) == {}

    def test_another_number_of_channels(self, make_trainer, tiny_dataset):
        dataset_json = tiny_dataset.dataset_json
        dataset_json["channel_names"] = {**dataset_json["channel_names"], "4": "PET"}
        trainer = make_trainer()
        trainer.prepare_inputs()
        trainer.dataset_json = dataset_json
        with pytest.raises(DataError, match=r"has 4 channel\(s\) once preprocessed, and dataset.json names 5"):
            trainer.get_tr_and_val_datasets()


class TestColourImages:
    @pytest.fixture
    def dataset(self, tmp_path, monkeypatch) -> None:
        """Five RGB images in 2d, planned and preprocessed by nnU-Net."""
        dataset = new_dataset(tmp_path, monkeypatch)
        folder = tmp_path / "raw" / "Dataset501_BraTS"
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir(parents=True)
        random = np.random.default_rng(0)
        for number in range(5):
            label = np.zeros((32, 32), np.uint8)
            label[8:20, 8:20] = 1
            image = random.integers(1, 200, (32, 32, 3), dtype=np.uint8) + 50 * label[..., None]
            io.imsave(folder / "imagesTr" / f"c{number}_0000.png", image, check_contrast=False)
            io.imsave(folder / "labelsTr" / f"c{number}.png", label, check_contrast=False)
        content = {
            "channel_names": {"0": "R", "1": "G", "2": "B"},
            "labels": {"background": 0, "lesion": 1},
            "numTraining": 5,
            "file_ending": ".png",
        }
        (folder / "dataset.json").write_text(json.dumps(content))
        plan_and_preprocess(dataset, ["c0", "c1", "c2"], ["c3", "c4"], monkeypatch, ["2d"])
        plans = dataset.plans
        plans["configurations"]["2d"]["architecture"]["arch_kwargs"].update(n_stages=3, kernel_sizes=[[3, 3]] * 3)
        (dataset.preprocessed / "nnUNetPlans.json").write_text(json.dumps(plans))

    @pytest.mark.usefixtures("dataset")
    def test_are_refused_when_training_starts(self, monkeypatch, capsys):
        monkeypatch.setattr(sys, "argv", ["nnunet_hetero"])
        assert main(["train", "501", "2d", "0", "-device", "cpu"]) == 1
        error = capsys.readouterr().err
        assert "error: Case 'c0' has 1 image file(s) (c0_0000.png)" in error and "RGB" in error
