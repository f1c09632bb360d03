"""Checkpoints and plans that bring code along."""

from __future__ import annotations

import os
import random
import shutil

import numpy as np
import pytest
import torch
from helpers.tiny_model import tiny_plans

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.checkpoints import load_checkpoint


class CreatesFile:
    """What an attacker puts into a checkpoint: loading it runs a command."""

    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def save(content, file, **keywords):
    torch.save(content, file, **keywords)
    return file


class TestCheckpoint:
    def test_what_a_training_writes(self, tmp_path):
        content = {
            "network_weights": {"a": torch.ones(2)},
            "logging": {"mean_fg_dice": [np.float32(0.1), np.float64(0.2)], "lrs": [0.01], "count": np.int64(3)},
            "_best_ema": np.float64(0.5),
            "init_args": {"device": torch.device("cpu"), "plans": tiny_plans(), "fold": 0},
            "hetero_modal": {
                "numpy": np.random.get_state(),
                "python": random.getstate(),
                "torch": torch.get_rng_state(),
                "sampler": np.random.default_rng(0).bit_generator.state,
            },
            "table": np.arange(6.0, dtype=np.float32).reshape(2, 3).T,
        }
        found = load_checkpoint(save(content, tmp_path / "a.pth"))
        assert found["logging"] == content["logging"] and found["init_args"] == content["init_args"]
        assert type(found["logging"]["mean_fg_dice"][0]) is np.float32
        assert found["_best_ema"] == 0.5
        np.testing.assert_array_equal(found["table"], content["table"])
        state = found["hetero_modal"]
        np.random.set_state(state["numpy"])
        states = np.random.get_state(), content["hetero_modal"]["numpy"]
        assert all(np.array_equal(a, b) for a, b in zip(*states, strict=True))
        assert state["sampler"] == content["hetero_modal"]["sampler"]
        assert state["python"] == content["hetero_modal"]["python"]

    @pytest.mark.parametrize("mmap", [False, True])
    def test_code_is_refused_and_does_not_run(self, tmp_path, mmap):
        trap = tmp_path / "trap"
        for number, content in enumerate(
            [{"a": CreatesFile(trap)}, {"a": np.array([CreatesFile(trap)], dtype=object)}, CreatesFile(trap)]
        ):
            file = save(content, tmp_path / f"{number}.pth")
            with pytest.raises(SettingsError) as error:
                load_checkpoint(file, mmap=mmap)
            message = str(error.value)
            assert str(file) in message and f"{os.system.__module__}.system" in message
            assert "--trust_checkpoint" in message
        assert not trap.exists()
        load_checkpoint(tmp_path / "0.pth", trusted=True)
        assert trap.exists()

    def test_old_format_is_refused_and_does_not_run(self, tmp_path):
        trap = tmp_path / "trap"
        file = save({"a": CreatesFile(trap)}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
        with pytest.raises(SettingsError, match="damaged, or no checkpoint"):
            load_checkpoint(file)
        assert not trap.exists()

    def test_damaged(self, tmp_path):
        file = save({"a": torch.ones(1000)}, tmp_path / "a.pth")
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(SettingsError, match=r"a\.pth is damaged"):
            load_checkpoint(file)
        with pytest.raises(SettingsError, match="holds a list"):
            load_checkpoint(save([1], tmp_path / "b.pth"))


class TestPredictor:
    def test_every_model_that_would_run_code_is_refused(self, nnunet_folders, tmp_path):
        from nnunet_hetero.inference.options import PredictionOptions
        from nnunet_hetero.inference.predictor import HeteroModalPredictor

        trap, folder = tmp_path / "trap", shutil.copytree(nnunet_folders.folder, tmp_path / "model")
        file = folder / "fold_1" / "checkpoint_final.pth"
        save({**torch.load(file, weights_only=False), "extra": CreatesFile(trap)}, file)
        device = torch.device("cpu")
        with pytest.raises(SettingsError, match=r"fold_1.*--trust_checkpoint"):
            HeteroModalPredictor(device=device).initialize_from_trained_model_folder(str(folder), (0, 1))
        assert not trap.exists()
        trusting = HeteroModalPredictor(device=device, options=PredictionOptions(trust_checkpoint=True))
        trusting.initialize_from_trained_model_folder(str(folder), (0, 1))
        assert trap.exists()


def test_parts_of_the_network_are_compiled_not_the_whole(nnunet_folders, monkeypatch):
    from nnunet_hetero.inference.predictor import HeteroModalPredictor
    from nnunet_hetero.network.hetero_modal import HeteroModalVAE

    compiled = []
    monkeypatch.setenv("nnUNet_compile", "t")
    monkeypatch.setattr(HeteroModalVAE, "compile_parts", lambda self: compiled.append(self))
    predictor = HeteroModalPredictor(device=torch.device("cpu"))
    predictor.initialize_from_trained_model_folder(str(nnunet_folders.folder), (0,))
    assert compiled == [predictor.network] and type(predictor.network) is HeteroModalVAE
