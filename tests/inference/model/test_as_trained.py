"""A model folder's files against what the checkpoints were trained with."""

from __future__ import annotations

import dataclasses
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from helpers.tiny_model import CONFIGURATION, tiny_dataset_json, tiny_plans

from nnunet_hetero.cases.orientation import UNKNOWN
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.model.as_trained import require_as_trained
from nnunet_hetero.inference.model.checkpoint_content import TrainedFold


def fold(plans: dict | None = None, dataset_json: dict | None = None, **more) -> TrainedFold:
    entries = {"trainer": "HeteroModalVAETrainer", "configuration": CONFIGURATION, "mirroring_axes": (0, 1, 2)}
    parts = {"weights": {}, "intensity": None, "landmarks": None, "file": "fold_0/checkpoint_final.pth"}
    parts |= {"plans": plans or tiny_plans(), "dataset_json": dataset_json or tiny_dataset_json(), "orientation": "LPS"}
    return TrainedFold(**{**parts, **entries, **more})


def compare(plans: dict | None = None, dataset_json: dict | None = None, folds=None) -> None:
    require_as_trained(Path("m"), plans or tiny_plans(), dataset_json or tiny_dataset_json(), folds or [fold()])


def edited(where: str = "", **changes) -> dict:
    plans = tiny_plans()
    (plans["configurations"][CONFIGURATION] if where == "configuration" else plans).update(changes)
    return plans


def test_the_same_says_nothing(capsys):
    compare(folds=[fold(), fold()])
    assert capsys.readouterr().out == ""


def test_types_that_json_does_not_have_are_no_difference(capsys):
    plans = tiny_plans()
    plans["transpose_forward"] = [0, 1, 2]
    plans["configurations"][CONFIGURATION] |= {"spacing": [np.float64(1)] * 3, "next_stage": ("a",)}
    loaded = edited("configuration", next_stage=["a"], spacing=[1, 1, 1])
    compare(loaded, folds=[fold(plans)])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "plans",
    [
        edited("configuration", spacing=[2.0, 1.0, 1.0]),
        edited("configuration", patch_size=[32, 16, 16]),
        edited("configuration", normalization_schemes=["CTNormalization"] * 4),
        edited("configuration", use_mask_for_norm=[True, False, True, True]),
        edited("configuration", preprocessor_name="Other"),
        edited("configuration", hetero_modal={"encoder_width": 1.0}),
        edited("configuration", hetero_modal={"histogram_standardisation": True}),
        edited(image_reader_writer="NibabelIOWithReorient"),
        edited(transpose_forward=[1, 0, 2]),
        edited(label_manager="Other"),
    ],
)
def test_plans_that_change_the_result_are_refused(plans):
    with pytest.raises(SettingsError, match="in training it was") as refusal:
        compare(plans)
    message = str(refusal.value)
    assert message.startswith("m/plans.json is not that of the training, by the checkpoint fold_0/checkpoint_final.pth")
    assert message.endswith("Put back the plans.json that the training wrote; every checkpoint of the model holds it "
                            "too, under init_args.")  # fmt: skip


def test_an_edit_before_the_training_is_fine(capsys):
    plans = edited("configuration", spacing=[2.0, 2.0, 2.0], hetero_modal={"num_epochs": 3})
    compare(plans, folds=[fold(deepcopy(plans))])
    assert capsys.readouterr().out == ""


def test_intensities_matter_to_ct_alone(capsys):
    other = edited(foreground_intensity_properties_per_channel={"0": {"mean": 3.0}})
    compare(other)
    assert "it does not matter here: foreground_intensity" in capsys.readouterr().out
    trained = edited("configuration", normalization_schemes=["CTNormalization"] * 4)
    loaded = {**deepcopy(trained), "foreground_intensity_properties_per_channel": {"0": {"mean": 3.0}}}
    with pytest.raises(SettingsError, match="foreground_intensity"):
        compare(loaded, folds=[fold(trained)])


@pytest.mark.parametrize(
    "plans",
    [
        edited("configuration", batch_size=8),
        edited("configuration", hetero_modal={"num_epochs": 5}),
        edited(dataset_name="Dataset777_Other"),
        edited(mine="a note"),
    ],
)
def test_other_differences_are_pointed_out_once(plans, capsys):
    compare(plans, folds=[fold(), fold()])
    out = capsys.readouterr().out
    assert out.count("WARNING: m/plans.json is not that of the training; it does not matter here: ") == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"channel_names": {"0": "FLAIR", "1": "T2", "2": "T1c", "3": "T1"}}, '["FLAIR", "T2", "T1c", "T1"]'),
        ({"channel_names": {"0": "T1", "1": "T1ce", "2": "T2", "3": "FLAIR"}}, "T1ce"),
        ({"channel_names": {"0": "T1", "1": "T1c", "2": "T2"}}, "channel_names"),
        ({"labels": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [3], "enhancing tumor": [2]}}, "labels"),
        ({"labels": {"background": 0, "tumor core": [2, 3], "whole tumor": [1, 2, 3], "enhancing tumor": 3}}, "labels"),
        ({"regions_class_order": [3, 2, 1]}, "regions_class_order is [3, 2, 1], in training it was [1, 2, 3]"),
    ],
)
def test_dataset_json_that_changes_the_result_is_refused(changes, words):
    with pytest.raises(SettingsError) as refusal:
        compare(dataset_json=tiny_dataset_json() | changes)
    message = str(refusal.value)
    assert message.startswith("m/dataset.json is not that of the training") and words in message


def test_other_names_of_regions_and_another_ending_are_pointed_out(capsys):
    labels = {"background": 0, "WT": [1, 2, 3], "TC": [2, 3], "ET": 3}
    compare(dataset_json=tiny_dataset_json() | {"labels": labels, "file_ending": ".mha", "numTraining": 7})
    out = capsys.readouterr().out
    assert "labels is" in out and 'file_ending is ".mha", in training it was ".nii.gz"' in out


def test_labels_without_regions_are_sorted_by_nnunet(capsys):
    trained = tiny_dataset_json() | {"labels": {"background": 0, "a": 1, "b": 2}}
    now = tiny_dataset_json() | {"labels": {"background": 0, "b": 2, "a": 1}}
    compare(dataset_json=now, folds=[fold(dataset_json=trained)])
    assert "WARNING: m/dataset.json" in capsys.readouterr().out
    with pytest.raises(SettingsError, match="labels is"):
        compare(dataset_json=now | {"labels": {"background": 0, "b": 2, "a": 3}}, folds=[fold(dataset_json=trained)])


@pytest.mark.parametrize(
    "other",
    [
        {"trainer": "HeMISTrainer"},
        {"configuration": "2d"},
        {"mirroring_axes": None},
        {"orientation": "RAS"},
        {"orientation": None},
    ],
    ids=str,
)
def test_folds_of_different_models_are_refused(other):
    second = dataclasses.replace(fold(), file="fold_1/checkpoint_final.pth", **other)
    with pytest.raises(SettingsError, match="are no folds of one model: their"):
        compare(folds=[fold(), second])


def test_a_fold_of_an_earlier_version_tells_no_orientation():
    folds = [fold(), dataclasses.replace(fold(), orientation=UNKNOWN)]
    compare(folds=folds)
    compare(folds=folds[::-1])


def test_a_fold_with_other_plans_is_refused():
    second = fold(edited("configuration", spacing=[3.0, 3.0, 3.0]))
    with pytest.raises(SettingsError, match="spacing is"):
        compare(folds=[fold(), second])


@pytest.mark.parametrize(
    "content", [{}, {"configurations": 5}, edited(configurations={"2d": {}})], ids=["empty", "5", "2d"]
)
def test_broken_plans_in_a_checkpoint(content):
    with pytest.raises(SettingsError, match=r"^fold_0/checkpoint_final.pth"):
        compare(folds=[fold() if content is None else dataclasses.replace(fold(), plans=content)])
