"""Trainings that are killed and continued end as an undisturbed one, in the short form of the benchmark."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from kills import Training, lost_to, same


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs processes that can be forked")
@pytest.mark.timeout(1200)
def test_kills_of_every_kind(tmp_path):
    script = Path(__file__).parents[2] / "benchmarks" / "kills.py"
    arguments = ["--kills", "1", "--out", str(tmp_path), "--seed", "3"]
    done = subprocess.run([sys.executable, str(script), *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "SIGKILL 1, SIGTERM 1, SIGUSR1 1 kill(s): all equal, nothing left behind." in done.stdout


def test_what_counts_as_lost():
    assert not lost_to("KILL", Training(["KILL"], repeated=7))
    assert not lost_to("TERM", Training(["TERM", "TERM"], repeated=2))
    assert lost_to("USR1", Training(["USR1"], repeated=2))


def test_bit_for_bit():
    one = {"a": [torch.ones(2), float("nan")], "b": 1}
    assert same(one, {"a": [torch.ones(2), float("nan")], "b": 1})
    assert not same(one, {"a": [torch.ones(2), 0.0], "b": 1})
    assert not same(one, {"a": [torch.ones(2) + 1e-7, float("nan")], "b": 1})
    assert not same(one, {"b": 1})
