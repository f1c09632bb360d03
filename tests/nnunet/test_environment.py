"""nnU-Net's variable for the folders of other trainers."""

from __future__ import annotations

import importlib
import os
from pathlib import Path

import pytest

from nnunet_hetero.nnunet.environment import (
    EXT_TRAINER,
    OUR_TRAINERS,
    ext_trainer_value,
    is_in_ext_trainer,
    set_ext_trainer,
    trainer_folder,
)

OURS = trainer_folder()


def test_the_folder_is_there():
    assert (Path(OURS) / "nnunet_hetero_trainers.py").is_file()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, OURS),
        ("", OURS),
        ("mine", f"mine{os.pathsep}{OURS}"),
        (f"mine{os.pathsep}", f"mine{os.pathsep}{OURS}"),
        (OURS, OURS),
        (f"{OURS}{os.sep}{os.pathsep}mine", f"{OURS}{os.sep}{os.pathsep}mine"),
    ],
)
def test_what_the_user_had_stays(before, after):
    assert ext_trainer_value(before) == after
    assert is_in_ext_trainer(after) and not is_in_ext_trainer("mine")


def test_of_this_process(monkeypatch):
    monkeypatch.setenv(EXT_TRAINER, "mine")
    set_ext_trainer()
    set_ext_trainer()
    assert os.environ[EXT_TRAINER] == f"mine{os.pathsep}{OURS}"


@pytest.mark.parametrize(("name", "place"), OUR_TRAINERS.items())
def test_every_trainer_is_where_the_table_says(name, place):
    module, attribute = place.split(":")
    assert attribute == name and hasattr(importlib.import_module(module), name)
