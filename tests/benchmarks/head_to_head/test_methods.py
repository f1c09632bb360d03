"""Methods, variants and settings as the command line names them; the length of a training."""

from __future__ import annotations

import pytest
from head_to_head.methods import METHODS, choose_methods, read_settings, settled, training_length
from helpers.project.entry_points import installed_package

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.environment import OUR_TRAINERS


class TestChoice:
    def test_methods_by_name_and_by_trainer(self):
        ours, dropout = choose_methods(["ours", "ModalityDropoutTrainer"])
        assert (ours.name, ours.trainer, ours.settings) == ("ours", "HeteroModalVAETrainer", {})
        assert (dropout.name, dropout.trainer) == ("ModalityDropoutTrainer", "ModalityDropoutTrainer")

    def test_a_variant_changes_ours_or_the_method_it_names(self):
        no_kl, slow = choose_methods([], [["no_kl", "kl_weight=0"], ["slow", "dropout", "initial_lr=1e-3"]])
        assert (no_kl.trainer, no_kl.settings) == ("HeteroModalVAETrainer", {"kl_weight": 0})
        assert (slow.name, slow.trainer, slow.settings) == ("slow", "ModalityDropoutTrainer", {"initial_lr": 1e-3})

    def test_a_variants_own_settings_go_before_the_common_ones_and_these_before_the_methods(self):
        common = ["batch_size=4", "kl_weight=1"]
        paper, variant = choose_methods(["paper"], [["mine", "kl_weight=0"]], common)
        assert paper.settings["batch_size"] == 4 and paper.settings["patch_size"] == "plan"
        assert variant.settings == {"batch_size": 4, "kl_weight": 0}

    @pytest.mark.parametrize(
        ("names", "variants", "message"),
        [
            (["no_such"], [], "There is no method 'no_such'"),
            (["ours", "ours"], [], "ours are named twice"),
            (["ours"], [["ours", "kl_weight=0"]], "ours are named twice"),
            ([], [["a/b", "kl_weight=0"]], "letters, digits"),
            ([], [["a", "kl_wait=0"]], "Unknown setting"),
            ([], [["a", "kl_weight=-1"]], "kl_weight is -1"),
            ([], [["a", "ours", "kl_weight"]], "write KEY=VALUE"),
            ([], [], "no method to compare"),
        ],
    )
    def test_refuses(self, names, variants, message):
        with pytest.raises(SettingsError, match=message):
            choose_methods(names, variants)

    def test_every_trainer_of_ours_is_a_method(self):
        assert {method.trainer for method in METHODS.values()} == set(OUR_TRAINERS)

    def test_a_trainer_of_another_package_is_one_too(self, tmp_path, monkeypatch):
        source = (
            "from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer\n\n\n"
            "class TheirTrainer(HeteroModalVAETrainer):\n    pass\n"
        )
        groups = {"nnunet_hetero.trainers": {"TheirTrainer": "theirs:TheirTrainer"}}
        installed_package(tmp_path, monkeypatch, "theirs", source, groups)
        (method,) = choose_methods(["TheirTrainer"])
        assert (method.name, method.trainer) == ("TheirTrainer", "TheirTrainer")
        assert settled(method, {})["optimizer"] == "Muon"


def test_values_are_json_or_plain_text():
    pairs = ["optimizer=AdamW", "initial_lr=0.002", "image_decoders=false", "early_stopping_epochs=null"]
    assert read_settings(pairs) == {
        "optimizer": "AdamW",
        "initial_lr": 0.002,
        "image_decoders": False,
        "early_stopping_epochs": None,
    }


class TestLength:
    @pytest.mark.parametrize("steps", [1, 2, 49, 50, 51, 1500, 12345, 250_000])
    def test_is_what_was_asked_for_rounded_up_to_an_epoch(self, steps):
        length = training_length(steps)
        total = length["num_epochs"] * length["num_iterations_per_epoch"]
        assert steps <= total < steps + length["num_iterations_per_epoch"]
        assert length["num_val_iterations_per_epoch"] >= 1

    def test_epochs_are_short_in_short_trainings_and_nnunets_in_long_ones(self):
        assert training_length(1500)["num_iterations_per_epoch"] == 50
        assert training_length(250_000) == {
            "num_epochs": 1000,
            "num_iterations_per_epoch": 250,
            "num_val_iterations_per_epoch": 25,
        }


class TestSettled:
    def test_the_paper_keeps_its_optimiser_and_takes_the_budget_of_the_others(self):
        (paper,) = choose_methods(["paper"])
        found = settled(paper, {**paper.settings, **training_length(100)})
        assert (found["optimizer"], found["initial_lr"], found["lr_schedule"]) == ("Adam", 1e-3, "step")
        assert (found["patch_size"], found["batch_size"], found["early_stopping_epochs"]) == ("plan", "plan", None)
        assert found["num_epochs"] * found["num_iterations_per_epoch"] == 100

    def test_ours_has_the_trainers_defaults(self):
        from nnunet_hetero.config import HeteroModalConfig
        from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

        (ours,) = choose_methods(["ours"])
        defaults = HeteroModalConfig.from_dict(HeteroModalVAETrainer.default_settings())
        found = settled(ours, ours.settings)
        assert found["kl_weight"] == defaults.kl_weight and found["optimizer"] == defaults.optimizer
