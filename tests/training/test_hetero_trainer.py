"""What all our trainers share: settings that reach nnU-Net's trainer, and subsets in training and validation."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from helpers.tiny_network import masks
from helpers.trainers import batch_for, initialised, spy
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.training.optimization.muon import Muon


class TestSettings:
    def test_reach_the_trainer(self, make_trainer):
        trainer = initialised(
            make_trainer(
                num_epochs=30,
                num_iterations_per_epoch=7,
                num_val_iterations_per_epoch=3,
                optimizer="AdamW",
                initial_lr=0.002,
                weight_decay=0.03,
            )
        )
        assert (trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch) == (
            30,
            7,
            3,
        )
        assert type(trainer.optimizer) is torch.optim.AdamW
        (group,) = trainer.optimizer.param_groups
        assert (group["lr"], group["weight_decay"]) == (0.002, 0.03)
        assert len(group["params"]) == len(list(trainer.network.parameters()))
        trainer.lr_scheduler.step(15)
        assert group["lr"] == pytest.approx(0.002 * 0.5**0.9)

    def test_its_own_optimiser_by_default(self, make_trainer):
        trainer = initialised(make_trainer(num_epochs=30))
        assert isinstance(trainer.optimizer, Muon)
        trainer.lr_scheduler.step(15)
        for group in trainer.optimizer.param_groups:
            assert (group["lr"], group["weight_decay"]) == (pytest.approx(5e-3 * 0.5**0.9), 3e-5)

    @pytest.mark.parametrize("optimizer", ["AdamW", "Muon"])
    def test_state_that_was_not_fused_is_taken_over(self, make_trainer, optimizer):
        trainer = initialised(make_trainer(optimizer=optimizer))
        trainer.train_step(batch_for(trainer, masks((0, 1, 2, 3), (0, 1, 2, 3))))
        state = trainer.optimizer.state_dict()
        state["param_groups"][0]["fused"] = None
        trainer.optimizer.load_state_dict(state)
        assert trainer.optimizer.param_groups[0]["fused"] and state["param_groups"][0]["fused"] is None
        trainer.grad_scaler = torch.amp.GradScaler("cpu")
        trainer.train_step(batch_for(trainer, masks((0, 1, 2, 3), (0, 1, 2, 3))))

    def test_nnunets_optimiser_if_asked_for(self, make_trainer):
        (group,) = initialised(make_trainer(optimizer="SGD", initial_lr=0.01)).optimizer.param_groups
        assert {key: group[key] for key in ("lr", "momentum", "nesterov", "weight_decay")} == {
            "lr": 0.01,
            "momentum": 0.99,
            "nesterov": True,
            "weight_decay": 3e-5,
        }

    @pytest.mark.parametrize(("num_epochs", "save_every"), [(1, 1), (4, 1), (20, 4), (1000, 50)])
    def test_a_short_training_is_saved_more_often(self, make_trainer, num_epochs, save_every):
        assert make_trainer(num_epochs=num_epochs).save_every == save_every

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"learning_rate": 1}, r"Unknown setting\(s\) \['learning_rate'\]"),
            ({"num_epochs": 0}, "num_epochs is 0"),
            ({"optimizer": "Lion"}, "one of SGD, Adam, AdamW, Muon"),
            ({"alpha": {"T1+CT": 1}}, "Unknown modality 'CT'"),
        ],
    )
    def test_bad_ones_are_refused(self, make_trainer, settings, message):
        with pytest.raises(SettingsError, match=message):
            make_trainer(**settings)


class TestValidation:
    def epoch(self, trainer, available) -> list[dict]:
        trainer.on_validation_epoch_start()
        with torch.no_grad():
            return [
                trainer.validation_step(batch_for(trainer, available))
                for _ in range(trainer.num_val_iterations_per_epoch)
            ]

    def test_every_epoch_has_the_same_mix_and_all_subsets_take_turns(self, make_trainer):
        trainer = initialised(make_trainer(num_val_iterations_per_epoch=5))
        seen = spy(trainer.network)
        for epoch in range(12):
            trainer.current_epoch = epoch
            self.epoch(trainer, masks((0, 1, 2, 3)))
        shown = torch.cat(seen)
        sizes = shown.sum(dim=1).view(12, 5)
        assert (sizes == sizes[0]).all() and set(sizes[0].tolist()) == {1, 2, 3, 4}
        assert len(shown.unique(dim=0)) == 15

    def test_a_continued_training_sees_the_same_subsets(self, make_trainer):
        seen = []
        for _ in range(2):
            trainer = initialised(make_trainer(num_val_iterations_per_epoch=5))
            trainer.current_epoch = 3
            seen.append(spy(trainer.network))
            self.epoch(trainer, masks((0, 1, 2, 3)))
        assert torch.equal(torch.cat(seen[0]), torch.cat(seen[1]))

    def test_a_sample_shows_what_it_has_of_the_subset(self, make_trainer):
        trainer = initialised(make_trainer(num_val_iterations_per_epoch=15))
        seen = spy(trainer.network)
        self.epoch(trainer, masks((0, 3), (1,), (0, 1, 2, 3)))
        subsets = [set(shown[2].nonzero().flatten().tolist()) for shown in seen]
        assert len({frozenset(subset) for subset in subsets}) == 15  # what the complete sample shows is the subset
        for subset, shown in zip(subsets, seen, strict=True):
            assert torch.equal(shown[:2], masks(subset & {0, 3} or (0, 3), (1,)))

    def test_images_go_to_the_device_as_the_loader_pinned_them(self, make_trainer, monkeypatch):
        """What is made of them on the host is not pinned, and its copy would be waited for."""
        trainer = initialised(make_trainer())
        shown = []
        monkeypatch.setattr(nnUNetTrainer, "validation_step", lambda self, batch: shown.append(batch["data"]))
        trainer.device = torch.device("meta")
        monkeypatch.setattr(
            "nnunet_hetero.training.hetero_trainer.seen_through", lambda data, subset: seen.append(data.device) or data
        )
        seen = []
        trainer.on_validation_epoch_start()
        trainer.validation_step(batch_for(trainer, masks((0, 1, 2, 3))))
        assert seen == [trainer.device] and shown[0].device == trainer.device

    def test_pseudo_dice_by_number_of_modalities(self, make_trainer, monkeypatch):
        """1 to 4 modalities: hits 1 to 4 of 4, in both classes; nothing of three modalities."""

        def step(trainer, batch):
            number = int((batch["data"] != 0).flatten(2).any(dim=2).sum())
            hits = np.array([number, number]) if number != 3 else np.zeros(2)
            misses = np.array([4 - number, 4 - number]) if number != 3 else np.zeros(2)
            return {"loss": np.array(0.5), "tp_hard": hits, "fp_hard": misses, "fn_hard": misses}

        trainer = initialised(make_trainer(num_val_iterations_per_epoch=15))
        monkeypatch.setattr(nnUNetTrainer, "validation_step", step)
        trainer.on_validation_epoch_end(self.epoch(trainer, masks((0, 1, 2, 3))))
        found = {size: trainer.history.values[f"pseudo_dice/{size}"][0] for size in (1, 2, 3, 4)}
        assert found == pytest.approx({1: 0.25, 2: 0.5, 3: math.nan, 4: 1.0}, nan_ok=True)
        assert trainer.logger.get_value("mean_fg_dice", 0) == pytest.approx((4 * 1 + 6 * 2 + 4) / (4 * 11))
