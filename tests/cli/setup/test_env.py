"""`nnunet_hetero env`."""

from __future__ import annotations

import os
import subprocess

import pytest

from nnunet_hetero.cli.main import main
from nnunet_hetero.nnunet.environment import EXT_TRAINER, ext_trainer_value, trainer_folder


@pytest.fixture(autouse=True)
def variable_unset(monkeypatch):
    monkeypatch.delenv(EXT_TRAINER, raising=False)


def test_line_in_each_shell(monkeypatch, capsys):
    folder = trainer_folder()
    for shell, line in (
        ("bash", f"export nnUNet_extTrainer={folder}"),
        ("fish", f"set -gx nnUNet_extTrainer '{folder}'"),
        ("powershell", f"$env:nnUNet_extTrainer = '{folder}'"),
    ):
        assert main(["env", "--shell", shell]) == 0
        assert capsys.readouterr().out == f"{line}\n"


def test_bash_reads_the_line_back_even_if_a_folder_has_odd_signs(monkeypatch, capsys):
    monkeypatch.setenv(EXT_TRAINER, "/it's $HOME/my trainers")
    main(["env"])
    done = subprocess.run(
        ["bash", "-c", f'{capsys.readouterr().out}printf %s "$nnUNet_extTrainer"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"/it's $HOME/my trainers{os.pathsep}{trainer_folder()}"


@pytest.mark.parametrize(
    ("current", "value"),
    [
        (None, "{ours}"),
        ("", "{ours}"),
        ("/a", "/a{sep}{ours}"),
        ("/a{sep}", "/a{sep}{ours}"),
        ("/a{sep}/b", "/a{sep}/b{sep}{ours}"),
        ("{ours}", "{ours}"),
        ("{ours}/{sep}/a", "{ours}/{sep}/a"),
    ],
)
def test_value_keeps_what_the_user_had_and_names_us_once(current, value):
    signs = {"ours": trainer_folder(), "sep": os.pathsep}
    assert ext_trainer_value(current and current.format(**signs)) == value.format(**signs)
