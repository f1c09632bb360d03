"""What a training step of given plans takes."""

from __future__ import annotations

import pytest
from helpers.tiny_model import tiny_dataset_json, tiny_plans, write_json
from helpers.tiny_network import tiny_network

from nnunet_hetero.config import KEY
from nnunet_hetero.planning.step_memory import step_memory
from nnunet_hetero.training.memory import training_bytes


@pytest.fixture
def folder(tmp_path):
    write_json(tmp_path / "nnUNetPlans.json", tiny_plans())
    write_json(tmp_path / "dataset.json", tiny_dataset_json())
    return tmp_path


def test_by_the_optimiser_of_the_plans(folder):
    single = {}
    for name in ("SGD", "Muon", "AdamW"):
        plans = tiny_plans()
        plans["configurations"]["3d_fullres"][KEY] = {"optimizer": name}
        write_json(folder / "nnUNetPlans.json", plans)
        (step,) = step_memory(folder, "nnUNetPlans")
        single[name] = step.single
    assert single["SGD"] < single["Muon"] < single["AdamW"]


def test_as_the_training_says_it(folder):
    network = tiny_network(deep_supervision=True, features=(8, 16, 16))
    (step,) = step_memory(folder, "nnUNetPlans")
    assert step[:3] == ("3d_fullres", (16, 16, 16), 2)
    assert step.mixed == training_bytes(network, (16, 16, 16), 2, "Muon", autocast=True) < step.single
