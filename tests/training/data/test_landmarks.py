"""Histogram standardisation in training: what is learned on which cases, and the way to a prediction."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import torch
from helpers.tiny_dataset import DATASET, threads_for_processes
from nnunetv2.run.run_training import run_training
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.histogram import PERCENTILES, standard_scale
from nnunet_hetero.cases.intensities import RawImages, case_statistics
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.preprocess import preprocess, read_case
from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.predictor import HeteroModalPredictor

NAMES = ("T1", "T1c", "T2", "FLAIR")


@pytest.fixture
def trainer(make_trainer):
    """With the setting on."""
    return make_trainer(num_epochs=1, histogram_standardisation=True)


def fold(trainer) -> tuple[list[str], list[str]]:
    trainer.initialize()
    return trainer.do_split()


class TestLearning:
    def test_on_the_training_cases_that_have_the_modality(self, trainer, tmp_path):
        training, validation = fold(trainer)
        trainer.prepare_inputs()
        statistics = case_statistics(RawImages.of_trainer(trainer), training, tmp_path / "cache.json", progress=False)
        assert "T2" not in statistics[training[0]] and len(validation) == 2
        assert set(trainer.landmarks) == set(NAMES)
        for name in NAMES:
            expected = standard_scale([case[name] for case in statistics.values() if name in case])
            np.testing.assert_allclose(trainer.landmarks[name], expected)
            assert len(expected) == len(PERCENTILES) and (np.diff(expected) > 0).all()

    def test_validation_cases_do_not_count(self, trainer, make_trainer, monkeypatch):
        training, validation = fold(trainer)
        trainer.prepare_inputs()
        other = make_trainer(num_epochs=1, histogram_standardisation=True, results="other")
        monkeypatch.setattr(other, "do_split", lambda: (training[:2], [training[2], *validation]))
        other.prepare_inputs()
        assert trainer.landmarks["T1"] != other.landmarks["T1"]
        monkeypatch.setattr(other, "do_split", lambda: (training, validation[:1]))
        other.dataset_class, other.landmarks = other.dataset_class.dataset_class, None
        other.prepare_inputs()
        assert trainer.landmarks == other.landmarks

    def test_off_by_default(self, make_trainer):
        trainer = make_trainer()
        trainer.prepare_inputs()
        assert trainer.landmarks is None and trainer.state_to_save()["landmarks"] is None

    def test_without_raw_images(self, trainer, tmp_path, monkeypatch):
        monkeypatch.setenv("nnUNet_raw", str(tmp_path))
        with pytest.raises(SettingsError, match=r"histograms of the raw images, but those in .* cannot be read"):
            trainer.on_train_start()

    def test_without_any_mr_channel(self, trainer):
        trainer.configuration_manager.configuration["normalization_schemes"] = ["NoNormalization"] * 4
        with pytest.raises(SettingsError, match="no channel has the z-score of MR images"):
            trainer.prepare_inputs()


class TestInputs:
    def test_standardised_absent_channels_untouched(self, trainer, tmp_path):
        """Both in what is trained on and in what is validated on."""
        fold(trainer)
        trainer.prepare_inputs()
        cases = [case for part in trainer.do_split() for case in part]
        statistics = case_statistics(RawImages.of_trainer(trainer), cases, tmp_path / "cache.json", progress=False)
        for dataset in trainer.get_tr_and_val_datasets():
            for case in dataset.identifiers:
                images, segmentation, _, _ = dataset.load_case(case)
                stored = dataset.dataset.load_case(case)[0][:]
                inside = segmentation[0] >= 0
                for channel, name in enumerate(NAMES):
                    if name in statistics[case]:
                        found = np.percentile(images[channel][inside & (stored[channel] != 0)], (10, 50, 90))
                        np.testing.assert_allclose(found, np.array(trainer.landmarks[name])[[1, 5, 9]], atol=0.1)
                        np.testing.assert_array_equal(images[channel][~inside], stored[channel][~inside])
                    else:
                        assert not images[channel].any()

    def test_prediction_gives_the_network_the_same_inputs(self, trainer, tiny_dataset):
        _, validation = fold(trainer)
        trainer.prepare_inputs()
        dataset = trainer.get_tr_and_val_datasets()[1]
        manager, configuration = trainer.plans_manager, trainer.configuration_manager
        folder = tiny_dataset.root / "raw" / DATASET / "imagesTr"
        for case in validation:
            files = tuple(str(folder / f"{case}_{channel:04d}.nii.gz") for channel in range(4))
            images = read_case(Case(case, files), trainer.modalities, (0, 1, 2, 3), manager.image_reader_writer_class())
            prepared = preprocess(images, Preparation(manager, configuration, trainer.dataset_json, trainer.landmarks))
            np.testing.assert_allclose(prepared.data, dataset.load_case(case)[0][:], atol=1e-4)

    def test_validation_alone(self, trainer, monkeypatch):
        """nnUNetv2_train --val does not start a training."""
        seen = []
        monkeypatch.setattr(
            nnUNetTrainer, "perform_actual_validation", lambda self, _: seen.append(self.dataset_class.rules)
        )
        trainer.initialize()
        trainer.perform_actual_validation()
        (rules,) = seen
        assert sorted(rules.landmarks) == sorted(case for part in trainer.do_split() for case in part)


class TestEndToEnd:
    @pytest.fixture(scope="class")
    def model(self, tiny_dataset, tmp_path_factory):
        """Folder of a model that was trained for an epoch by the function behind nnUNetv2_train, as the plans ask."""
        root = tmp_path_factory.mktemp("standardised")
        with pytest.MonkeyPatch.context() as monkeypatch:
            tiny_dataset.use(monkeypatch, root / "results")
            threads_for_processes(monkeypatch)
            shutil.copytree(tiny_dataset.root / "preprocessed", root / "preprocessed")
            monkeypatch.setenv("nnUNet_preprocessed", str(root / "preprocessed"))
            file = root / "preprocessed" / DATASET / "nnUNetPlans.json"
            plans = json.loads(file.read_text())
            settings = plans["configurations"]["3d_fullres"]["hetero_modal"]
            settings.update(num_epochs=1, histogram_standardisation=True)
            file.write_text(json.dumps(plans))
            run_training("501", "3d_fullres", "0", "HeteroModalVAETrainer", device=torch.device("cpu"))
        return root / "results" / DATASET / "HeteroModalVAETrainer__nnUNetPlans__3d_fullres"

    @pytest.fixture
    def predict(self, tiny_dataset, tmp_path):
        case = tiny_dataset.validation_cases[0]
        source = tmp_path / "IN"
        source.mkdir()
        for channel in (0, 2):
            file = f"{case}_{channel:04d}.nii.gz"
            shutil.copy(tiny_dataset.root / "raw" / DATASET / "imagesTr" / file, source / file)

        def run(folder) -> int:
            flags = ["-f", "0", "-device", "cpu", "-npp", "0", "-nps", "0", "--num_samples", "0", "--disable_tta"]
            return main(
                [
                    "predict",
                    "-m",
                    str(folder),
                    "-i",
                    str(source),
                    "-o",
                    str(tmp_path / "OUT"),
                    "--save_completed",
                    *flags,
                ]
            )

        return run

    def test_landmarks_are_with_the_model(self, model):
        saved = torch.load(model / "fold_0" / "checkpoint_final.pth", weights_only=False)["hetero_modal"]["landmarks"]
        assert saved == json.loads((model / "fold_0" / "landmarks.json").read_text())
        assert HeteroModalPredictor.from_model_folder(model, device="cpu").model.preparation.landmarks == saved
        assert (model / "fold_0" / "validation" / "summary.json").exists()

    def test_prediction_and_completion(self, model, predict, tmp_path, capsys):
        assert predict(model) == 0
        (segmentation,) = (tmp_path / "OUT").glob("*.nii.gz")
        descriptions = [json.loads(file.read_text()) for file in (tmp_path / "OUT" / "completed").glob("*.json")]
        intensity = json.loads((model / "fold_0" / "intensity.json").read_text())
        assert {entry["modality"]: entry["mean"] for entry in descriptions} == {
            name: intensity[name]["mean"] for name in ("T1c", "FLAIR")
        }
        assert segmentation.stat().st_size > 0

    def test_deleted_landmarks(self, model, predict, tmp_path, capsys):
        copy = tmp_path / "copy"
        shutil.copytree(model, copy)
        file = copy / "fold_0" / "checkpoint_final.pth"
        checkpoint = torch.load(file, weights_only=False)
        del checkpoint["hetero_modal"]["landmarks"]
        torch.save(checkpoint, file)
        with pytest.raises(SystemExit, match="1"):
            predict(copy)
        error = capsys.readouterr().err
        assert (
            error.startswith(f"error: The checkpoint {file} has no hetero_modal.landmarks") and "train again" in error
        )
        assert not list((tmp_path / "OUT").glob("*.nii.gz"))

    def test_resumed_training_keeps_its_landmarks(self, model, make_trainer, tmp_path):
        trainer = make_trainer(num_epochs=1, histogram_standardisation=True)
        checkpoint = torch.load(model / "fold_0" / "checkpoint_final.pth", weights_only=False)
        checkpoint["hetero_modal"]["landmarks"]["T1"][0] -= 1
        torch.save(checkpoint, tmp_path / "checkpoint.pth")
        trainer.load_checkpoint(str(tmp_path / "checkpoint.pth"))
        trainer.prepare_inputs()
        assert trainer.landmarks == checkpoint["hetero_modal"]["landmarks"]
        assert trainer.dataset_class.rules.standard[0] == trainer.landmarks["T1"]
