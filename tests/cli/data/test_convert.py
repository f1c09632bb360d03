"""Converters by name."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from nnunet_hetero import extensions
from nnunet_hetero.cli.data.convert import CONVERTERS, GROUP, converters
from nnunet_hetero.cli.main import main


@pytest.fixture
def offered(monkeypatch):
    def set_offered(name: str) -> None:
        entry = EntryPoint(name, "json", GROUP)
        monkeypatch.setattr(extensions, "entry_points", lambda group: [entry] if group == GROUP else [])

    return set_offered


def test_each_of_ours_can_be_called():
    for command in CONVERTERS.values():
        module = command.load()
        assert callable(module.run) and callable(module.add_arguments)


def test_those_of_others_come_last(offered):
    offered("spine")
    assert list(converters()) == [*CONVERTERS, "spine"]


def test_a_name_of_ours_is_taken(offered, capsys):
    offered("brats")
    assert main(["convert", "-h"]) == 1
    assert "offers a converter 'brats'" in capsys.readouterr().err
