"""Where the trainer leaves the intensities of the training images."""

from __future__ import annotations

import json

import torch
from helpers.tiny_dataset import DATASET

from nnunet_hetero.cases.intensities import CACHE_NAME


class TestTrainer:
    def test_numbers_are_in_the_checkpoint_the_fold_and_the_cache(self, make_trainer, tiny_dataset):
        trainer = make_trainer(num_epochs=1)
        trainer.on_train_start()
        assert set(trainer.intensity) == {"T1", "T1c", "T2", "FLAIR"}
        assert trainer.intensity["T2"]["cases"] == 2 and trainer.intensity["T1"]["cases"] == 3
        folder = trainer.output_folder
        trainer.save_checkpoint(f"{folder}/checkpoint_final.pth")
        saved = torch.load(f"{folder}/checkpoint_final.pth", weights_only=False)["hetero_modal"]["intensity"]
        with open(f"{folder}/intensity.json") as stream:
            assert trainer.intensity == saved == json.load(stream)
        training, _ = trainer.do_split()
        assert set(training) <= set(json.loads((tiny_dataset.preprocessed / CACHE_NAME).read_text()))

    def test_without_raw_images_the_log_says_so(self, make_trainer, tmp_path, monkeypatch, capsys):
        trainer = make_trainer(num_epochs=1)
        monkeypatch.setenv("nnUNet_raw", str(tmp_path))
        trainer.on_train_start()
        assert trainer.intensity is None
        printed = capsys.readouterr().out
        assert f"WARNING: the intensities of the training images are unknown, since the raw images in {tmp_path}" in (
            printed.replace("\n", " ")
        )
        assert DATASET in printed and "normalised units" in printed
