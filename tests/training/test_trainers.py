"""One table of trainers, from which everything that names trainers follows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from helpers.project.entry_points import installed_package
from nnunetv2.utilities.find_objects import recursive_find_trainer_class_by_name

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.environment import OUR_TRAINERS
from nnunet_hetero.training.hetero_trainer import HeteroTrainer
from nnunet_hetero.training.trainers import TRAINERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "trainers.md"
SOURCE = (
    "from nnunet_hetero.training.comparators import UHeMISTrainer\n\n\nclass TheirTrainer(UHeMISTrainer):\n    pass\n"
)


@pytest.mark.parametrize("name", OUR_TRAINERS)
def test_ours(name):
    trainer = TRAINERS.get(name)
    assert issubclass(trainer, HeteroTrainer) and trainer.__name__ == name
    HeteroModalConfig.from_dict(trainer.default_settings())


def test_the_reference_lists_them_all_with_their_own_settings():
    text = PAGE.read_text(encoding="utf-8")
    table, rest = text.split("## Settings that are a trainer's own")
    assert set(re.findall(r"^\| `(\w+Trainer)` \|", table, re.MULTILINE)) == set(OUR_TRAINERS)
    rows = [line.split("|")[1:-1] for line in rest.split("\n## ")[0].splitlines() if line.startswith("| ")]
    heading, *settings = rows
    written: dict[str, dict] = {name: {} for name in OUR_TRAINERS}
    for setting, *values in settings:
        for trainers, value in zip(heading[1:], values, strict=True):
            found = re.match(r" *`([^`]+)`", value)
            for name in re.findall(r"`(\w+Trainer)`", trainers) if found else ():
                written[name][setting.strip(" `")] = json.loads(found.group(1))
    assert written == {name: _own(name) for name in OUR_TRAINERS}


def _own(name: str) -> dict:
    return TRAINERS.get(name).default_settings()


class TestOfAnotherPackage:
    @pytest.fixture
    def install(self, tmp_path, monkeypatch):
        def install(entry: str = "TheirTrainer", source: str = SOURCE, target: str = "TheirTrainer") -> None:
            groups = {"nnunet_hetero.trainers": {entry: f"somebodys_trainers:{target}"}}
            installed_package(tmp_path, monkeypatch, "somebodys_trainers", source, groups)
            # A look-up that a test cut short may have left it, with the names of then.
            monkeypatch.delitem(sys.modules, "nnunet_hetero_trainers", raising=False)

        return install

    def test_nnunet_finds_it_as_ours(self, install):
        install()
        found = recursive_find_trainer_class_by_name("TheirTrainer")
        assert found is TRAINERS.get("TheirTrainer") and found.__module__ == "somebodys_trainers"
        assert recursive_find_trainer_class_by_name("HeMISTrainer") is TRAINERS.get("HeMISTrainer")

    def test_it_must_go_by_its_own_name(self, install):
        install(entry="TheirsTrainer")
        with pytest.raises(SettingsError, match="calls itself 'TheirTrainer'"):
            TRAINERS.get("TheirsTrainer")

    def test_it_must_be_a_trainer(self, install):
        install(source=SOURCE + "\n\nclass Other:\n    pass\n", target="Other")
        with pytest.raises(SettingsError, match=r"must be a class built on .*HeteroTrainer"):
            TRAINERS.get("TheirTrainer")
