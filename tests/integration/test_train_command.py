"""Our flags of `nnunet_hetero train`, and the arguments with which nnU-Net's command goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nnunet_hetero.integration import train_command
from nnunet_hetero.integration.train_command import continuing, is_complete, split_train_flags

START = ["501", "3d_fullres", "0", "-tr", "HeteroModalVAETrainer"]


@pytest.fixture
def fold(tmp_path, monkeypatch) -> Path:
    """The folder of fold 0, empty."""
    monkeypatch.setattr(train_command, "model_folder", lambda *_: str(tmp_path))
    (tmp_path / "fold_0" / "validation").mkdir(parents=True)
    return tmp_path / "fold_0"


def test_our_flags_are_taken_out_and_the_rest_keeps_its_order():
    flags, rest = split_train_flags(
        ["501", "--auto-continue", "3d_fullres", "0", "-p", "Plans", "--max_time", "23:45", "--npz", "-device", "cpu"]
    )
    assert flags.auto_continue and flags.max_time == "23:45" and not flags.trust_checkpoint
    assert rest == ["501", "3d_fullres", "0", "-p", "Plans", "--npz", "-device", "cpu"]


def test_none_of_ours():
    flags, rest = split_train_flags([*START, "--c"])
    assert rest == [*START, "--c"]
    assert (flags.auto_continue, flags.max_time, flags.trust_checkpoint) == (False, None, False)


def test_a_fold_is_known_by_its_number(fold):
    (fold / "checkpoint_latest.pth").touch()
    assert continuing([*START[:2], f"0{START[2]}", *START[3:]]) == [*START, "-p", "nnUNetPlans", "--c"]


def test_without_a_checkpoint_it_starts(fold):
    assert continuing([*START, "-pretrained_weights", "w.pth"]) == [*START, "-pretrained_weights", "w.pth"]


@pytest.mark.parametrize("name", ["checkpoint_final.pth", "checkpoint_latest.pth", "checkpoint_best.pth"])
def test_with_a_checkpoint_it_goes_on(fold, name):
    (fold / name).touch()
    arguments = continuing([*START, "-p", "Plans", "-pretrained_weights", "w.pth", "--npz", "-num_gpus", "2"])
    assert arguments == [*START, "-p", "Plans", "-num_gpus", "2", "--npz", "--c"]


@pytest.mark.parametrize("flag", ["--c", "--val"])
def test_what_the_user_says_stays(fold, flag):
    (fold / "checkpoint_latest.pth").touch()
    assert continuing([*START, flag]) == [*START, flag]


def test_complete_is_trained_and_validated(fold):
    assert not is_complete(fold)
    (fold / "checkpoint_final.pth").touch()
    assert not is_complete(fold)
    (fold / "validation" / "summary.json").touch()
    assert is_complete(fold)
    (fold / "validation" / "unfinished.json").touch()
    assert not is_complete(fold)
