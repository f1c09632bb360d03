"""Plans for short trainings."""

from __future__ import annotations

import json

import pytest
from helpers.tiny_model import CONFIGURATION, tiny_plans, write_json

from nnunet_hetero.demo.plans import write_derived_plans
from nnunet_hetero.errors import SettingsError


@pytest.fixture
def folder(tmp_path):
    write_json(tmp_path / "nnUNetPlans.json", tiny_plans())
    return tmp_path


def test_what_is_changed_and_what_is_not(folder):
    changed = write_derived_plans(folder, "Short", CONFIGURATION, {"kl_weight": 0.5}, (4, 6), (8, 16, 8), 3)
    written = json.loads((folder / "Short.json").read_text())["configurations"][CONFIGURATION]
    assert written == changed
    assert written["architecture"]["arch_kwargs"]["features_per_stage"] == [4, 6, 6]
    assert (written["patch_size"], written["batch_size"]) == ([8, 16, 8], 3)
    assert written["hetero_modal"] == {"kl_weight": 0.5}
    planned = tiny_plans()["configurations"][CONFIGURATION]
    assert written["spacing"] == planned["spacing"]
    as_planned = write_derived_plans(folder, "Plain", CONFIGURATION, {})
    assert (as_planned["patch_size"], as_planned["batch_size"]) == (planned["patch_size"], planned["batch_size"])


def test_a_patch_that_the_network_cannot_take(folder):
    with pytest.raises(SettingsError, match=r"The patch is \[8, 10, 8\]; .*multiples of \[4, 4, 4\] voxels"):
        write_derived_plans(folder, "Short", CONFIGURATION, {}, patch=(8, 10, 8))
