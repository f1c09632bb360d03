"""Settings: defaults, where they are read from, and what is refused."""

from __future__ import annotations

import dataclasses

import pytest
from helpers.tiny_network import tiny_configuration

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import SettingsError


class TestDefaults:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            # Dorent et al., 2019.
            ("reconstruction_weight", 0.1),
            ("alpha", None),
            # nnU-Net.
            ("num_epochs", 1000),
            ("num_iterations_per_epoch", 250),
            ("num_val_iterations_per_epoch", 50),
            ("optimizer", "SGD"),
            ("initial_lr", 1e-2),
            ("weight_decay", 3e-5),
        ],
    )
    def test_sources(self, name, value):
        assert getattr(HeteroModalConfig(), name) == value

    def test_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            HeteroModalConfig().seed = 3


class TestFromPlans:
    def test_without_settings(self):
        assert HeteroModalConfig.from_plans(tiny_configuration()) == HeteroModalConfig()

    def test_settings_of_the_configuration(self):
        read = HeteroModalConfig.from_plans(tiny_configuration(latent_width=1.0, alpha={"T1": 2}, seed=0))
        assert read == HeteroModalConfig(latent_width=1.0, alpha={"T1": 2}, seed=0)


class TestRefuses:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("encoder_width", 0),
            ("latent_width", -0.5),
            ("image_decoder_width", "wide"),
            ("image_decoders", 1),
            ("max_abs_log_variance", 0),
            ("initial_log_variance", -10.5),
            ("initial_log_variance", None),
            ("reconstruction_weight", -0.1),
            ("kl_weight", float("nan")),
            ("num_epochs", 0),
            ("num_epochs", float("inf")),
            ("num_iterations_per_epoch", 2.5),
            ("num_val_iterations_per_epoch", True),
            ("optimizer", "RMSprop"),
            ("lr_schedule", "cosine"),
            ("lr_step_iterations", 0),
            ("lr_step_divisor", 0.5),
            ("patch_size", "big"),
            ("patch_size", [16, 16.5, 16]),
            ("patch_size", []),
            ("batch_size", 0),
            ("batch_size", "plans"),
            ("early_stopping_epochs", 0),
            ("subset", ""),
            ("subset", 3),
            ("random_subsets", -1),
            ("initial_lr", 0.0),
            ("weight_decay", float("inf")),
            ("alpha", ["T1"]),
            ("alpha", "paper"),
            ("presence", 0.5),
            ("balance_modalities", 1),
            ("seed", -1),
            ("seed", 1.5),
            ("seed", "one"),
        ],
    )
    def test_impossible_values(self, name, value):
        with pytest.raises(SettingsError, match=rf"hetero_modal\.{name} .*must be"):
            HeteroModalConfig.from_dict({name: value})

    def test_two_draws(self):
        with pytest.raises(SettingsError, match=r"alpha and hetero_modal\.presence are both set"):
            HeteroModalConfig.from_dict({"alpha": {"T1": 1}, "presence": {"T1": 0.5}})

    def test_unknown_settings(self):
        with pytest.raises(SettingsError, match=r"\['colour', 'kl'\] under 'hetero_modal'.*'kl_weight'"):
            HeteroModalConfig.from_dict({"kl": 0.1, "colour": "red"})

    def test_no_table(self):
        with pytest.raises(SettingsError, match="must be a table of settings, found 5"):
            HeteroModalConfig.from_dict(5)
