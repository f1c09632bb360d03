"""Plans read, derived from others and written, without harm to what is there."""

from __future__ import annotations

import json
from copy import deepcopy

import pytest
from helpers.tiny_model import CONFIGURATION, DATASET, tiny_dataset_json, tiny_plans, write_json

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.planning.plans_file import (
    ORIGIN,
    derived_plans,
    read_dataset_json,
    read_plans,
    resolved_configuration,
    trainable_configurations,
    write_plans,
)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / DATASET
    plans = tiny_plans()
    plans["configurations"]["3d_bs4"] = {"inherits_from": CONFIGURATION, "batch_size": 4}
    plans["configurations"]["3d_cascade_fullres"] = {"inherits_from": CONFIGURATION, "previous_stage": "3d_lowres"}
    write_json(folder / "nnUNetPlans.json", plans)
    write_json(folder / "dataset.json", tiny_dataset_json())
    return folder


@pytest.fixture
def plans(folder):
    return read_plans(folder, "nnUNetPlans")


class TestReading:
    def test_other_names_that_there_are(self, folder):
        with pytest.raises(SettingsError, match=r"no plans 'Mine' in .*There are: nnUNetPlans\.$"):
            read_plans(folder, "Mine")

    def test_nothing_is_planned_yet(self, folder):
        (folder / "nnUNetPlans.json").unlink()
        with pytest.raises(SettingsError, match="nnUNetv2_plan_and_preprocess -d 501"):
            read_plans(folder, "nnUNetPlans")

    def test_another_json_file(self, folder):
        with pytest.raises(SettingsError, match=r"dataset\.json"):
            read_plans(folder, "dataset")

    def test_plans_that_name_code_of_others(self, folder, plans):
        architecture = plans["configurations"][CONFIGURATION]["architecture"]
        architecture["network_class_name"] = "os.system"
        write_json(folder / "nnUNetPlans.json", plans)
        with pytest.raises(SettingsError, match=r"os\.system"):
            read_plans(folder, "nnUNetPlans")

    def test_dataset_json(self, folder):
        assert read_dataset_json(folder)["labels"] == tiny_dataset_json()["labels"]
        (folder / "dataset.json").write_text("{")
        with pytest.raises(SettingsError, match="nnUNetv2_plan_and_preprocess"):
            read_dataset_json(folder)


class TestConfigurations:
    def test_all_but_cascades(self, plans):
        assert trainable_configurations(plans) == [CONFIGURATION, "3d_bs4"]
        assert trainable_configurations(plans, ["3d_bs4"]) == ["3d_bs4"]

    @pytest.mark.parametrize(
        ("name", "message"),
        [("2d", "no configuration '2d'. They have: 3d_fullres"), ("3d_cascade_fullres", "after '3d_lowres'")],
    )
    def test_others_are_refused(self, plans, name, message):
        with pytest.raises(SettingsError, match=message):
            trainable_configurations(plans, [name])

    def test_what_is_inherited_is_written_out(self, plans):
        found = resolved_configuration(plans, "3d_bs4")
        assert found == {**plans["configurations"][CONFIGURATION], "batch_size": 4}


class TestDerived:
    def test_one_configuration_changes_and_the_source_does_not(self, plans):
        before = deepcopy(plans)
        new = derived_plans(plans, "Mine", ["3d_bs4"], lambda found: found.update(patch_size=[8, 8, 8]))
        assert plans == before
        assert (new["plans_name"], new[ORIGIN]) == ("Mine", "nnUNetPlans")
        changed = new["configurations"].pop("3d_bs4")
        assert changed["patch_size"] == [8, 8, 8] and changed["batch_size"] == 4
        assert changed["data_identifier"] == before["configurations"][CONFIGURATION]["data_identifier"]
        before["configurations"].pop("3d_bs4")
        assert new["configurations"] == before["configurations"]

    @pytest.mark.parametrize("name", ["my__plans", "../Mine", "", "-d", "a b", ".hidden"])
    def test_names_that_plans_cannot_have(self, plans, name):
        with pytest.raises(SettingsError, match="cannot name plans"):
            derived_plans(plans, name, [], lambda _: None)


class TestWriting:
    def mine(self, plans, batch_size: int = 2) -> dict:
        return derived_plans(plans, "Mine", [CONFIGURATION], lambda found: found.update(batch_size=batch_size))

    def test_again_with_the_same_content(self, folder, plans):
        file = write_plans(folder, self.mine(plans))
        assert write_plans(folder, self.mine(plans)) == file == folder / "Mine.json"
        assert json.loads(file.read_text()) == self.mine(plans)

    def test_ours_are_replaced_when_asked_only(self, folder, plans):
        file = write_plans(folder, self.mine(plans))
        with pytest.raises(SettingsError, match="--overwrite"):
            write_plans(folder, self.mine(plans, 5))
        assert read_plans(folder, "Mine") == self.mine(plans)
        write_plans(folder, self.mine(plans, 5), overwrite=True)
        assert json.loads(file.read_text()) == self.mine(plans, 5)

    @pytest.mark.parametrize("content", [{**tiny_plans(), "plans_name": "Mine"}, {"a": 1}])
    def test_files_of_others_never(self, folder, plans, content):
        write_json(folder / "Mine.json", content)
        with pytest.raises(SettingsError, match="was not written by nnunet_hetero"):
            write_plans(folder, self.mine(plans), overwrite=True)
        assert json.loads((folder / "Mine.json").read_text()) == content
