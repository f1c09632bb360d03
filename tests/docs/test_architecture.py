"""The diagram of the architecture names files that are there, and its floors are those of the house test."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_diagram_names_files_that_are_there():
    text = (ROOT / "docs/images/architecture.svg").read_text(encoding="utf-8")
    files = re.findall(r">(nnunet_hetero/[\w/]+\.py)<", text)
    assert len(files) == 20 and not [file for file in files if not (ROOT / file).is_file()]


def test_the_floors_are_those_of_the_house():
    house = (ROOT / "tests/test_house.py").read_text(encoding="utf-8").split("FLOORS = (")[1].split("\n)")[0]
    page = (ROOT / "docs/explanation/architecture.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \d \| (.*?) \|", page, re.MULTILINE)
    for built, written in zip(house.strip().splitlines(), rows, strict=True):
        assert set(re.findall(r"`(\w+)`", written)) <= set(re.findall(r'"(\w+)"', built))
