"""A training that is interrupted goes on as if it had not been; checkpoints are whole or not there."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from helpers.tiny_network import masks
from helpers.trainers import assert_same_state, batch_for, initialised, load
from nnunetv2.run.run_training import maybe_load_checkpoint
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_hetero.errors import SettingsError


def without_times(values: dict) -> dict:
    return {key: series for key, series in values.items() if "timestamp" not in key}


class Interruption(Exception):
    """Stands for a job that is killed."""


@pytest.mark.usefixtures("no_figures")
class TestReproducible:
    def run(self, make_trainer, results: str, **settings) -> dict:
        trainer = make_trainer(results=results, **settings)
        trainer.run_training()
        return load(f"{trainer.output_folder}/checkpoint_final.pth")

    def test_interrupted_equals_straight(self, make_trainer, monkeypatch):
        settings = {"num_epochs": 4, "seed": 3}
        straight = self.run(make_trainer, "straight", **settings)

        killed = make_trainer(results="killed", **settings)
        steps = []
        original = killed.train_step
        monkeypatch.setattr(killed, "train_step", lambda batch: steps.append(1) or original(batch))
        end_of_validation = killed.on_validation_epoch_start
        monkeypatch.setattr(
            killed, "on_validation_epoch_start", lambda: interrupt() if len(steps) > 4 else end_of_validation()
        )
        with pytest.raises(Interruption):
            killed.run_training()

        # Nothing of the first process is left but the file.
        torch.manual_seed(99)
        np.random.seed(99)
        resumed = make_trainer(results="killed", resume=True, **settings)
        maybe_load_checkpoint(resumed, True, False)
        assert resumed.current_epoch == 2
        resumed.run_training()
        found = load(f"{resumed.output_folder}/checkpoint_final.pth")

        for key in ("network_weights", "optimizer_state", "_best_ema", "current_epoch"):
            assert_same_state(found[key], straight[key])
        assert_same_state(without_times(found["logging"]), without_times(straight["logging"]))
        for checkpoint in (found, straight):
            checkpoint["hetero_modal"]["history"] = without_times(checkpoint["hetero_modal"]["history"])
        assert_same_state(found["hetero_modal"], straight["hetero_modal"])
        assert list(found["hetero_modal"]["history"]["loss/total"]) == [0, 1, 2, 3]

    def test_seed(self, make_trainer):
        first, second, other = (
            self.run(make_trainer, name, num_epochs=1, seed=seed)["network_weights"]
            for name, seed in (("a", 5), ("b", 5), ("c", 6))
        )
        assert_same_state(first, second)
        assert any(not torch.equal(first[key], other[key]) for key in first)


def interrupt() -> None:
    raise Interruption


class TestCheckpoint:
    def test_another_trainers_is_refused(self, make_trainer, tmp_path):
        stock = initialised(make_trainer(trainer=nnUNetTrainer))
        file = str(tmp_path / "stock.pth")
        stock.save_checkpoint(file)
        with pytest.raises(SettingsError, match=r"stock\.pth .* 'nnUNetTrainer', expected .*HeteroModalVAETrainer"):
            make_trainer().load_checkpoint(file)

    def test_of_another_optimiser_is_refused(self, make_trainer, tmp_path):
        file = str(tmp_path / "adamw.pth")
        initialised(make_trainer(optimizer="AdamW")).save_checkpoint(file)
        with pytest.raises(SettingsError, match=r"adamw\.pth .* optimiser AdamW, .* now say Muon.*optimizer to AdamW"):
            make_trainer().load_checkpoint(file)

    @pytest.mark.parametrize("fails", ["while writing", "before writing"])
    def test_survives_a_full_disk(self, make_trainer, tmp_path, monkeypatch, fails):
        trainer = initialised(make_trainer())
        file = tmp_path / "checkpoint_latest.pth"
        trainer.save_checkpoint(str(file))
        before = file.read_bytes()
        save = torch.save

        def dying(content, target):
            if isinstance(target, io.BytesIO):
                return save(content, target)
            if fails == "while writing":
                with open(target, "wb") if isinstance(target, str) else target as stream:
                    stream.write(b"half a checkpoint")
            raise OSError("No space left on device")

        monkeypatch.setattr(torch, "save", dying)
        trainer.current_epoch = 1
        with pytest.raises(OSError, match="No space left"):
            trainer.save_checkpoint(str(file))
        assert file.read_bytes() == before
        monkeypatch.undo()
        trainer.save_checkpoint(str(file))
        assert load(file)["current_epoch"] == 2

    def test_continues_the_draw_of_subsets(self, make_trainer, tmp_path):
        first = initialised(make_trainer(seed=1))
        present = np.ones((40, 4), bool)
        first.sampler.draw(present)
        first.save_checkpoint(str(tmp_path / "c.pth"))
        second = make_trainer(seed=2)
        second.load_checkpoint(str(tmp_path / "c.pth"))
        assert (second.sampler.draw(present) == first.sampler.draw(present)).all()

    def test_of_a_gpu_goes_on_without_one(self, make_trainer, tmp_path):
        """What a training on a GPU has besides: the state of its loss scale and of its random stream."""
        first = initialised(make_trainer())
        first.train_step(batch_for(first, masks((0, 1, 2, 3), (0,))))
        first.save_checkpoint(str(tmp_path / "c.pth"))
        checkpoint = load(tmp_path / "c.pth")
        checkpoint["grad_scaler_state"] = torch.amp.GradScaler("cpu").state_dict()
        checkpoint["hetero_modal"]["streams"][0]["cuda"] = torch.zeros(16, dtype=torch.uint8)
        torch.save(checkpoint, tmp_path / "gpu.pth")
        second = make_trainer()
        second.load_checkpoint(str(tmp_path / "gpu.pth"))
        second.begin_random_streams()
        assert second.grad_scaler is None
        second.train_step(batch_for(second, masks((0, 1, 2, 3), (0,))))

    def test_without_a_gpu_goes_on_under_mixed_precision(self, make_trainer, tmp_path):
        first = initialised(make_trainer())
        first.save_checkpoint(str(tmp_path / "c.pth"))
        second = make_trainer()
        second.grad_scaler = torch.amp.GradScaler("cpu")
        second.load_checkpoint(str(tmp_path / "c.pth"))
        second.begin_random_streams()
        assert second.grad_scaler.get_scale() == 2.0**16
        second.train_step(batch_for(second, masks((0, 1, 2, 3), (0,))))

    def test_tensors_are_written_as_those_of_the_host(self, make_trainer, tmp_path, monkeypatch):
        """Whatever device they were trained on: a machine without a GPU reads the file."""
        places = []
        read = torch.load
        monkeypatch.setattr(torch, "load", lambda *a, **k: places.append(k.get("map_location")) or read(*a, **k))
        initialised(make_trainer()).save_checkpoint(str(tmp_path / "c.pth"))
        assert places == ["cpu"]

    def test_disabled(self, make_trainer, tmp_path):
        trainer = initialised(make_trainer())
        trainer.disable_checkpointing = True
        trainer.save_checkpoint(str(tmp_path / "c.pth"))
        assert not list(tmp_path.glob("c.pth*"))
