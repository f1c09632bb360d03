"""Files that run code, and whether it ran."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from helpers.tiny_model import CONFIGURATION
from public_reports.situation import Place

STOCK = "nnUNetTrainer"


REFUSED = ("--trust_checkpoint",)


class CreatesFile:
    """What an attacker puts into a checkpoint: loading it runs a command."""

    def __init__(self, file: Path):
        self.file = file

    def __reduce__(self):
        return os.system, (f"touch {self.file}",)


def trap(place: Place) -> Path:
    """The file that is there once strange code has run."""
    return place.folder / "trap"


def nothing_ran(place: Place) -> None:
    """Nor was anything predicted."""
    assert not trap(place).exists()
    assert "module_of_the_user" not in sys.modules
    assert not place.out.exists() or not place.written()


def module_of_the_user(place: Place) -> None:
    """A module that Python would find, that leaves a file when it is imported."""
    folder = place.folder / "modules"
    folder.mkdir()
    (folder / "module_of_the_user.py").write_text(
        f"open({str(trap(place))!r}, 'w').close()\n"
        "from torch import nn\n\n\nclass Thing(nn.InstanceNorm3d):\n    pass\n\n\ndef call(*a, **k): pass\n"
    )
    place.monkeypatch.syspath_prepend(str(folder))


def with_code(file: Path, trap: Path) -> None:
    """A checkpoint that runs a command when it is loaded."""
    torch.save({**torch.load(file, weights_only=False), "extra": CreatesFile(trap)}, file)


def stock(model: Path) -> Path:
    """The model, as if nnU-Net's own trainer had made it; its weights do not matter before they are loaded."""
    target = model.with_name(model.name.replace("HeteroModalVAETrainer", STOCK))
    shutil.copytree(model, target)
    for file in target.glob("fold_*/*.pth"):
        torch.save({**torch.load(file, weights_only=False), "trainer_name": STOCK}, file)
    return target


def edit(file: Path, change: Callable[[dict], object]) -> None:
    """Change what a JSON file holds."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def argument(key: str, name: str) -> Callable[[dict], object]:
    """A change of plans: another class as argument of the network."""
    return lambda plans: plans["configurations"][CONFIGURATION]["architecture"]["arch_kwargs"].update({key: name})


def network(name: str) -> Callable[[dict], object]:
    """A change of plans: another network."""
    return lambda plans: plans["configurations"][CONFIGURATION]["architecture"].update({"network_class_name": name})
