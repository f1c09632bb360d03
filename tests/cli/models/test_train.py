"""`nnunet_hetero train`: nnU-Net's own command with the arguments as they came."""

from __future__ import annotations

import os
import signal
import sys
from importlib import metadata

import pytest
from nnunetv2.run import run_training

from nnunet_hetero.cli.main import main
from nnunet_hetero.cli.models import train
from nnunet_hetero.io.checkpoints import TRUST_VARIABLE, trusted_by_environment
from nnunet_hetero.nnunet.environment import DEFAULT_TRAINER, EXT_TRAINER, is_in_ext_trainer
from nnunet_hetero.training.interruption.stop_signals import MAX_TIME_VARIABLE


@pytest.fixture
def called_with(monkeypatch):
    """Arguments that nnU-Net's entry point found."""
    found = []
    monkeypatch.delenv(EXT_TRAINER, raising=False)
    for name in ("nnUNet_preprocessed", "nnUNet_results"):
        monkeypatch.setenv(name, "/anywhere")
    monkeypatch.setattr(train, "require_possible_training", lambda *_: None)
    monkeypatch.setattr(sys, "argv", ["nnunet_hetero"])
    monkeypatch.setattr(
        run_training,
        "run_training_entry",
        lambda: found.append((sys.argv[1:], is_in_ext_trainer(os.environ.get(EXT_TRAINER)))),
    )
    yield found
    os.environ.pop(EXT_TRAINER, None)


def test_our_trainer_is_the_default(called_with):
    assert main(["train", "501", "3d_fullres", "0", "-device", "cpu", "--npz"]) == 0
    assert called_with == [(["501", "3d_fullres", "0", "-device", "cpu", "--npz", "-tr", DEFAULT_TRAINER], True)]


@pytest.mark.parametrize("given", [["-tr", "nnUNetTrainer"], ["-tr=nnUNetTrainer"], ["-t", "nnUNetTrainer"]])
def test_a_trainer_that_the_user_names_stays(called_with, given):
    assert main(["train", *given, "501", "3d_fullres", "0"]) == 0
    assert called_with == [([*given, "501", "3d_fullres", "0"], True)]


def test_plans_are_not_taken_for_pretrained_weights(called_with):
    assert main(["train", "501", "3d_fullres", "0", "-p", "nnUNetPlansOfMine", "-tr", "nnUNetTrainer"]) == 0
    assert called_with[0][0][3:5] == ["-p", "nnUNetPlansOfMine"]


def test_trust_reaches_the_training_by_a_variable(called_with, monkeypatch):
    monkeypatch.setenv(TRUST_VARIABLE, "0")  # is put back after the test
    assert not trusted_by_environment()
    assert main(["train", "501", "3d_fullres", "0", "-pretrained_weights", "nowhere.pth", "--trust_checkpoint"]) == 0
    assert called_with[0][0][:5] == ["501", "3d_fullres", "0", "-pretrained_weights", "nowhere.pth"]
    assert trusted_by_environment()


def test_without_trust_a_file_is_looked_at(called_with, capsys):
    assert main(["train", "501", "3d_fullres", "0", "-pretrained_weights", "nowhere.pth"]) == 1
    assert called_with == [] and "nowhere.pth" in capsys.readouterr().err


def test_the_longest_time_reaches_the_training_by_a_variable(called_with, monkeypatch, capsys):
    monkeypatch.setenv(MAX_TIME_VARIABLE, "01:00")  # is put back after the test
    assert main(["train", "501", "3d_fullres", "0", "--max_time", "23:45"]) == 0
    assert os.environ[MAX_TIME_VARIABLE] == "23:45"
    assert main(["train", "501", "3d_fullres", "0", "--max_time", "one day"]) == 1
    assert "HH:MM" in capsys.readouterr().err and len(called_with) == 1


def test_auto_continue_does_nothing_if_all_is_done(called_with, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(train, "fold_folder", lambda _: tmp_path)
    monkeypatch.setattr(train, "is_complete", lambda folder: folder == tmp_path)
    assert main(["train", "501", "3d_fullres", "0", "--auto-continue"]) == 0
    assert called_with == [] and "trained and validated" in capsys.readouterr().out


def test_auto_continue_goes_on(called_with, monkeypatch, tmp_path):
    monkeypatch.setattr(train, "fold_folder", lambda _: tmp_path)
    monkeypatch.setattr(train, "continuing", lambda arguments: [*arguments, "--c"])
    monkeypatch.setattr(train, "_require_harmless", lambda _: None)
    assert main(["train", "501", "3d_fullres", "0", "--auto-continue"]) == 0
    assert called_with[0][0] == ["501", "3d_fullres", "0", "-tr", DEFAULT_TRAINER, "--c"]


@pytest.mark.parametrize(("place", "code"), [("fold_0", 1), ("fold_1", 0)])
def test_only_checkpoints_that_would_be_loaded_are_looked_at(called_with, monkeypatch, tmp_path, capsys, place, code):
    monkeypatch.setattr(train, "fold_folder", lambda training: tmp_path / f"fold_{training.fold}")
    monkeypatch.setattr(train, "plans_file", lambda *_: tmp_path / "plans.json")
    (tmp_path / place).mkdir()
    (tmp_path / place / "checkpoint_latest.pth").write_bytes(b"damaged")
    assert main(["train", "501", "3d_fullres", "0", "--c"]) == code
    said = capsys.readouterr().err
    assert len(called_with) == 1 - code and ("damaged" in said and "move it away" in said) == bool(code)


def test_a_signal_before_the_training_is_the_exit_code_to_go_on(called_with, monkeypatch):
    monkeypatch.setattr(run_training, "run_training_entry", lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(SystemExit) as end:
        main(["train", "501", "3d_fullres", "0"])
    assert end.value.code == 75


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"RANK": "0"}, "WORLD_SIZE (a number) is not set"),
        ({"WORLD_SIZE": "2", "RANK": "0"}, "LOCAL_RANK (a number) is not set"),
        ({"WORLD_SIZE": "2", "RANK": "2", "LOCAL_RANK": "0"}, "number 2 of 2"),
        ({"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0"}, "MASTER_ADDR"),
        (
            {"WORLD_SIZE": "2", "RANK": "0", "LOCAL_RANK": "0", "MASTER_ADDR": "a..b", "MASTER_PORT": "1"},
            "finds no host of that name",
        ),
    ],
)
def test_a_launch_that_cannot_be_is_refused(called_with, monkeypatch, capsys, variables, said):
    for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "SLURM_JOB_ID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "501", "3d_fullres", "0", "-device", "cpu"]) == 1
    assert called_with == [] and said in capsys.readouterr().err


def test_help_is_that_of_nnunet_and_names_our_default(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["nnunet_hetero"])
    monkeypatch.setenv(EXT_TRAINER, "/mine")
    with pytest.raises(SystemExit) as end:
        main(["train", "-h"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert printed.startswith("usage: nnunet_hetero train") and "--val_best" in printed and DEFAULT_TRAINER in printed
    assert "--auto-continue" in printed and "--max_time" in printed


def test_an_nnunet_that_we_do_not_know_is_refused(called_with, monkeypatch, capsys):
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.7.0" if name == "nnunetv2" else version(name))
    assert main(["train", "501", "3d_fullres", "0"]) == 1
    assert called_with == []
    error = capsys.readouterr().err
    assert "nnunetv2 is 2.7.0" in error and "pip install" in error
