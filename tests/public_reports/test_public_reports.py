"""What people reported in public trackers: none of it may end in a wrong result, or in a traceback.

Each ``kinds/kind_*.py`` has the situations of one kind, as a list ``SITUATIONS``.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from public_reports.situation import Place, Situation

KINDS = sorted(file.stem for file in (Path(__file__).parent / "kinds").glob("kind_*.py"))
ALL = [one for kind in KINDS for one in importlib.import_module(f"public_reports.kinds.{kind}").SITUATIONS]


@pytest.mark.parametrize("situation", ALL, ids=[f"{one.number} {one.title}" for one in ALL])
def test_is_told_from_a_result(situation: Situation, nnunet_folders, tmp_path, monkeypatch, capfd):
    place = Place(tmp_path, nnunet_folders, monkeypatch)
    place.images.mkdir()
    code = situation.act(place)
    printed = "".join(capfd.readouterr())
    for words in situation.says:
        assert words in printed, printed
    for words in situation.never:
        assert words not in printed, printed
    assert code == situation.exit_code, printed
    situation.check(place)


def test_every_situation_has_a_number_of_its_own():
    numbers = [one.number for one in ALL]
    assert len(set(numbers)) == len(numbers)
