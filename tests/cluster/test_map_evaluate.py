"""Evaluation by workers: the tables are those of one process."""

from __future__ import annotations

import csv

from nnunet_hetero.cli.cluster import mapped
from nnunet_hetero.cli.main import main

FLAGS = ["-d", "501", "-c", "3d_fullres", "-f", "0", "1", "-device", "cpu", "--subsets", "T1+T1c", "FLAIR"]


def rows_of(file) -> list[list[str]]:
    with file.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
        return [header, *sorted(rows)]


def test_evaluation_is_that_of_one_process(client, nnunet_folders, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    assert main(["evaluate", *FLAGS, "-o", str(here)]) == 0
    assert mapped.evaluate(client, [*FLAGS, "-o", str(there), "--disable_progress_bar"]) == 0
    assert rows_of(there / "metrics.csv") == rows_of(here / "metrics.csv")
    for name in ("summary.json", "table.md", "settings.json", "sources.json"):
        assert (there / name).read_text() == (here / name).read_text()
    assert {file.name for file in (there / "snapshots").iterdir()} == {
        file.name for file in (here / "snapshots").iterdir()
    }
