"""What dataset.json and plans must hold."""

from __future__ import annotations

from copy import deepcopy

import pytest
from helpers.tiny_model import CONFIGURATION, tiny_dataset_json, tiny_plans

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.nnunet.json_files import CHANNELS_JSON, DATASET_JSON, PLANS, SPLITS, checked_configuration


def without(content: dict, key: str) -> dict:
    return {name: value for name, value in content.items() if name != key}


class TestDatasetJson:
    def test_right_ones(self):
        DATASET_JSON.check(tiny_dataset_json(), "dataset.json")
        old = without(tiny_dataset_json(), "channel_names") | {"modality": {"0": "T1"}}
        DATASET_JSON.check(old | {"labels": {"background": 0, "a": 1, "ignore": 2}}, "dataset.json")
        CHANNELS_JSON.check({"channel_names": {"0": "T1"}, "file_ending": ".nii"}, "dataset.json")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"channel_names": {}}, "'channel_names' is missing"),
            ({"channel_names": ["T1"]}, "'channel_names' is a list, not an object"),
            ({"channel_names": {"0": 1}}, "'channel_names.0' is 1, not a text"),
            ({"file_ending": ""}, "'file_ending' is '', not a text that is not empty"),
            ({"labels": {}}, "no 'background' with the value 0"),
            ({"labels": {"background": 1, "a": 0}}, "no 'background' with the value 0"),
            ({"labels": {"background": 0}}, "nothing but the background"),
            ({"labels": {"background": 0, "a": []}}, "a region without values"),
            ({"labels": {"background": 0, "a": "1"}}, "'labels.a' is '1', not a whole number or a list"),
            ({"labels": {"background": 0, "a": -1}}, "'labels.a' is -1, not 0 or more"),
            ({"regions_class_order": None}, "'regions_class_order' is missing; 'labels' has 3 regions"),
            ({"regions_class_order": [1]}, "'regions_class_order' is of 1 entries; 'labels' has 3 regions"),
            ({"dataset": {"a": {"images": []}}}, "'dataset.a.images'"),
            ({"dataset": {"a": {"images": ["a"]}}}, "'dataset.a.label' is missing"),
        ],
    )
    def test_wrong_ones(self, changes, words):
        with pytest.raises(DataError) as refusal:
            DATASET_JSON.check({**tiny_dataset_json(), **changes}, "dataset.json")
        assert str(refusal.value).startswith("dataset.json does not fit: ") and words in str(refusal.value)


class TestPlans:
    def test_right_ones(self):
        plans = PLANS.check(tiny_plans(), "plans.json")
        assert checked_configuration(plans, CONFIGURATION, "plans.json", 4)["spacing"] == [1.0] * 3

    def test_what_is_inherited_counts(self):
        plans = tiny_plans()
        before = deepcopy(plans)
        plans["configurations"]["child"] = {"inherits_from": CONFIGURATION, "batch_size": 5}
        child = checked_configuration(plans, "child", "plans.json")
        assert (child["batch_size"], child["patch_size"]) == (5, [16] * 3)
        assert plans["configurations"][CONFIGURATION] == before["configurations"][CONFIGURATION]

    @pytest.mark.parametrize("key", ["configurations", "plans_name", "dataset_name", "image_reader_writer"])
    def test_something_is_missing(self, key):
        with pytest.raises(SettingsError, match=f"plans.json does not fit: '{key}' is missing"):
            PLANS.check(without(tiny_plans(), key), "plans.json")

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"spacing": [1.0, 1.0]}, "both need 2 or 3 numbers above 0"),
            ({"spacing": [1.0, 1.0, 0.0]}, "both need 2 or 3 numbers above 0"),
            ({"patch_size": "large"}, "'patch_size' is 'large', not a list"),
            ({"normalization_schemes": ["ZScoreNormalization"]}, "1 entries in 'normalization_schemes'"),
            ({"use_mask_for_norm": [True] * 5}, "5 entries in 'use_mask_for_norm'"),
            ({"architecture": {}}, "'architecture.network_class_name' is missing"),
            ({"architecture": None}, "'architecture' is null"),
            ({"inherits_from": CONFIGURATION}, "Circular"),
            ({"inherits_from": "nowhere"}, "nowhere does not exist"),
        ],
    )
    def test_a_configuration_that_cannot_be_used(self, changes, words):
        plans = tiny_plans()
        plans["configurations"][CONFIGURATION].update(changes)
        with pytest.raises(SettingsError) as refusal:
            checked_configuration(plans, CONFIGURATION, "plans.json", 4)
        message = str(refusal.value)
        assert message.startswith("plans.json ") and words in message and "plan again" in message

    def test_a_configuration_that_is_not_there(self):
        with pytest.raises(SettingsError, match="2d not found"):
            checked_configuration(tiny_plans(), "2d", "plans.json")

    def test_no_architecture(self):
        plans = tiny_plans()
        del plans["configurations"][CONFIGURATION]["architecture"]
        with pytest.raises(SettingsError, match="'architecture' is missing"):
            checked_configuration(plans, CONFIGURATION, "plans.json")


def test_splits():
    assert SPLITS.check([{"train": ["a"], "val": []}], "splits_final.json")
    with pytest.raises(DataError, match=r"'\[0\].val' is missing"):
        SPLITS.check([{"train": ["a"]}], "splits_final.json")
