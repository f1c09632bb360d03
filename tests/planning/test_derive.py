"""From plans and wishes to new plans and what is said of them; the command's flags are in test_settings.py."""

from __future__ import annotations

import json

import pytest
from helpers.tiny_model import CONFIGURATION, DATASET, tiny_dataset_json, tiny_plans, write_json

from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.planning.derive import derive_settings


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name / DATASET).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / name))
    folder = tmp_path / "nnUNet_preprocessed" / DATASET
    plans = tiny_plans()
    own_draw = {"inherits_from": CONFIGURATION, KEY: {"presence": {"T1": 1, "T1c": 0, "T2": 0, "FLAIR": 0}}}
    plans["configurations"]["3d_own_draw"] = own_draw
    write_json(folder / "nnUNetPlans.json", plans)
    write_json(folder / "dataset.json", tiny_dataset_json())
    return folder


def derive(**wishes):
    return derive_settings(DATASET, "nnUNetPlans", "Mine", **wishes)


def test_settings_are_in_the_file_that_is_told(folder):
    found = derive(assignments=["num_epochs=7"], configurations=[CONFIGURATION])
    assert found.file == folder / "Mine.json" and found.configurations == [CONFIGURATION]
    configurations = json.loads(found.file.read_text())["configurations"]
    assert configurations[CONFIGURATION][KEY] == {"num_epochs": 7}
    assert found.description.startswith(f"Mine, from nnUNetPlans: {CONFIGURATION}\n  num_epochs: 7\n")


def test_each_draw_is_told_once_with_the_configurations_that_have_it(folder):
    told = derive(assignments=["num_epochs=7"]).description
    assert told.count("Draw in training") == 2
    own = told[told.index("(3d_own_draw)") :]
    assert "Each modality: T1 100.0 %" in own and "Each modality: T1 100.0 %" not in told[: told.index("(3d_own_draw)")]
    (folder / "Mine.json").unlink()
    shared = derive(presence=["T1=1", "T1c=0", "T2=0", "FLAIR=0"]).description
    assert shared.count("Draw in training") == 1 and f"({CONFIGURATION}, 3d_own_draw)" in shared


def test_the_draw_of_a_cohort_that_nobody_knows_yet(folder):
    found = derive(alpha="cohort", configurations=[CONFIGURATION])
    assert "they are known after nnUNetv2_preprocess" in found.description


@pytest.mark.parametrize(
    ("wishes", "message"),
    [
        ({"assignments": ["epochs=3"]}, "epochs"),
        ({"configurations": ["2d"], "assignments": ["seed=1"]}, "no configuration '2d'"),
        ({"presence": ["CT=1"]}, "Unknown modality 'CT'"),
        ({"assignments": ["patch_size=4"]}, "single voxel at the deepest of the plan's 3 levels"),
        ({"assignments": ["patch_size=18"]}, "must be a multiple of"),
    ],
)
def test_nothing_is_written_for_a_wish_that_cannot_be(folder, wishes, message):
    with pytest.raises(SettingsError, match=message):
        derive(**wishes)
    assert not (folder / "Mine.json").exists()


def test_a_patch_that_the_trainers_network_takes(folder):
    derive(assignments=["patch_size=18"], trainer="UHVEDPaperTrainer")
    assert (folder / "Mine.json").is_file()


def test_plans_are_never_derived_onto_themselves(folder):
    before = (folder / "nnUNetPlans.json").read_bytes()
    with pytest.raises(SettingsError, match="which are the plans to start from"):
        derive_settings(DATASET, "nnUNetPlans", "nnUNetPlans", assignments=["seed=1"], overwrite=True)
    assert (folder / "nnUNetPlans.json").read_bytes() == before
