"""The benchmark of cases with gaps: what it trains on, how it counts, and that it goes on where it stopped."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import incomplete
import pytest
from helpers.warm import run_warm

SMALL = ("--seeds", "0", "--cases", "3", "--steps", "2", "--size", "24", "--variation", "1")


def rows() -> list[dict]:
    """Two seeds, two regions, two subsets, two cases; the whole cohort is better by 0.1, by 0.2 for seed 1."""
    return [
        {
            "seed": seed,
            "training": training,
            "case": case,
            "subset": subset,
            "n_modalities": str(1 + subset.count("+")),
            "region": region,
            "dice": "nan" if case == "b" and region == "core" else str(base + (0.1 + 0.1 * seed) * (fold == "1")),
        }
        for seed in (0, 1)
        for training, fold in incomplete.TRAININGS.items()
        for case in "ab"
        for subset, base in (("T1", 0.2), ("T1+T1c+T2+FLAIR", 0.6))
        for region in ("whole", "core")
    ]


class TestSummary:
    def test_means_and_difference(self):
        summary = incomplete.summarise(rows())
        complete, whole = (summary[training] for training in incomplete.TRAININGS)
        assert complete["mean"] == pytest.approx(40) and whole["mean"] == pytest.approx(55)
        assert whole["per seed"] == pytest.approx({"0": 50, "1": 60})
        assert whole["regions"] == pytest.approx({"whole": 55, "core": 55})
        assert complete["modalities"]["1"] == pytest.approx(20) and complete["modalities"]["4"] == pytest.approx(60)
        assert summary["difference"]["mean"] == pytest.approx(15)
        assert summary["difference"]["sd"] == pytest.approx(50**0.5)

    def test_one_seed_has_no_spread(self):
        assert incomplete.summarise([row for row in rows() if row["seed"] == 0])["difference"]["sd"] is None

    def test_table(self):
        lines = incomplete.table(incomplete.summarise(rows())).splitlines()
        assert lines[0] == "| mean Dice, % | complete cases only | whole cohort | difference |"
        assert "| all 15 subsets | 40.0 | 55.0 | +15.0 |" in lines
        assert "| 1 modality given | 20.0 | 35.0 | +15.0 |" in lines
        assert "| 15 subsets, seed 1 | 40.0 | 60.0 | +20.0 |" in lines


@pytest.mark.slow
def test_whole_run_and_its_continuation(tmp_path):
    def run(*arguments: str) -> subprocess.CompletedProcess:
        return run_warm([sys.executable, incomplete.__file__, "--out", tmp_path / "out", *arguments], os.environ)

    first = run(*SMALL)
    assert first.returncode in (0, 1) and "The whole cohort " in first.stdout, first.stdout + first.stderr
    with (tmp_path / "out" / "results.csv").open(encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert {row["training"] for row in found} == set(incomplete.TRAININGS)
    assert len({row["subset"] for row in found}) == 15 and len({row["case"] for row in found}) == 8
    seed = tmp_path / "out" / "seed_0"
    complete, whole = json.loads(next(seed.rglob("splits_final.json")).read_text())
    assert len(complete["train"]) == 1 and len(whole["train"]) == 3 and complete["val"] == whole["val"]
    counts = [json.loads(next(seed.rglob(f"fold_{fold}/modalities.json")).read_text()) for fold in (0, 1)]
    assert [entry["cases"] for entry in counts] == [1, 3]
    assert counts[0]["modalities"]["T1"]["there"] == counts[0]["samples"]

    again = run(*SMALL)
    assert again.returncode == first.returncode and "$" not in again.stdout  # no command ran again
    assert again.stdout.splitlines()[-5:] == first.stdout.splitlines()[-5:]

    other = run(*SMALL, "--steps", "3")
    assert other.returncode == 1 and "holds an experiment with" in other.stderr
