"""What other machines would refuse is refused here, and nothing is handed over."""

from __future__ import annotations

import shutil

import pytest

from nnunet_hetero.cli.main import main
from nnunet_hetero.cluster import map_train
from nnunet_hetero.errors import DataError, SettingsError

PREDICT = ["predict", "-i", "images", "-o", "out", "-d", "501", "-c", "3d_fullres", "-f", "0"]
EVALUATE = ["evaluate", "-d", "501", "-c", "3d_fullres", "-f", "0", "1"]
TRAIN = ["train", "501", "3d_fullres", "0", "1"]


@pytest.fixture
def here(nnunet_folders, tmp_path, monkeypatch):
    """A working directory with images, preprocessed data, and a scheduler that says when it is called."""
    folder = tmp_path / "here"
    shutil.copytree(nnunet_folders.images, folder / "images")
    preprocessed = tmp_path / "preprocessed"
    shutil.copytree(nnunet_folders.preprocessed, preprocessed)
    (preprocessed / nnunet_folders.dataset / "nnUNetPlans_3d_fullres").mkdir(exist_ok=True)
    monkeypatch.setenv("nnUNet_preprocessed", str(preprocessed))
    monkeypatch.chdir(folder)
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "sbatch"
    program.write_text("#!/bin/sh\ntouch called\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return folder


@pytest.mark.parametrize("command", [PREDICT, EVALUATE, TRAIN], ids=lambda command: command[0])
def test_what_can_be_done_is_handed_over(here, command):
    parts = ["--parts", "2"] if command[0] == "predict" else []
    assert main(["submit", "--scheduler", "slurm", *parts, *command]) == 0
    assert (here / "called").exists()


@pytest.mark.parametrize(
    ("command", "more", "said"),
    [
        (TRAIN, ["-p", "no_plans"], "no_plans.json is not there"),
        (["train", "501", "2d", "0"], [], "2d"),
        (["train", "777", "3d_fullres", "0"], [], "777"),
        (TRAIN, ["-tr", "NoTrainer"], "-tr NoTrainer: nnU-Net finds no such trainer"),
        (TRAIN, ["-device", "gpu"], "-device gpu"),
        (["train", "501", "3d_fullres", "3"], ["-pretrained_weights", "nowhere.pth"], "nowhere.pth"),
        (PREDICT, ["-i", "nowhere"], "-i nowhere is no folder"),
        (PREDICT, ["-f", "7"], "for fold(s) 7"),
        (PREDICT, ["-chk", "checkpoint_other.pth"], "has no checkpoint_other.pth"),
        (PREDICT, ["-p", "no_plans"], "There is no trained model at"),
        (PREDICT, ["-tr", "nnUNetTrainer"], "There is no trained model at"),
        (PREDICT, ["--missing", "PET"], "PET"),
        (PREDICT, ["-o", "images"], "images"),
        (PREDICT, ["-device", "gpu"], "-device gpu"),
        (PREDICT, ["-step_size", "7"], "-step_size"),
        (EVALUATE, ["-p", "no_plans"], "There is no trained model at"),
        (EVALUATE, ["-chk", "checkpoint_other.pth"], "has no checkpoint_other.pth"),
        (EVALUATE, ["--subsets", "PET"], "PET"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else value[:20],
)
def test_what_no_job_could_do_is_refused(here, capsys, command, more, said):
    parts = ["--parts", "2"] if command[0] == "predict" else []
    before = {str(path) for path in here.rglob("*")}
    try:
        code = main(["submit", "--scheduler", "slurm", *parts, *command, *more])
    except SystemExit as end:
        code = end.code
    assert code == 1
    assert said in capsys.readouterr().err
    assert {str(path) for path in here.rglob("*")} - before <= {str(here / "out")}


def test_what_the_parser_does_not_know_is_refused(here):
    for command in (["--parts", "2", *PREDICT, "--no_such_flag"], [*EVALUATE, "--no_such_flag"]):
        with pytest.raises(SystemExit) as end:
            main(["submit", "--scheduler", "slurm", *command])
        assert end.value.code == 2
    assert not (here / "called").exists()


def test_a_training_that_is_done_is_not_looked_at(here, monkeypatch):
    monkeypatch.setattr("nnunet_hetero.cli.cluster.beforehand.is_complete", lambda folder: folder.name == "fold_0")
    shutil.rmtree(here.parent / "preprocessed" / "Dataset501_Tiny" / "nnUNetPlans_3d_fullres")
    train = ["submit", "--scheduler", "slurm", "train", "501", "3d_fullres"]
    assert main([*train, "0"]) == 0
    assert main([*train, "0", "1"]) == 1


def test_map_refuses_the_same_trainings(here, monkeypatch):
    from nnunet_hetero.cli.cluster.mapped import train

    monkeypatch.setattr(map_train, "map_trainings", lambda *_: pytest.fail("handed over"))
    for own in (
        ["501", "3d_fullres", "0", "-p", "no_plans"],
        ["501", "2d", "0"],
        ["501", "3d_fullres", "0", "-tr", "NoTrainer"],
    ):
        with pytest.raises((SettingsError, DataError)):
            train(None, own)
