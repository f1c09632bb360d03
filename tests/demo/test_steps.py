"""The commands of the demo and the benchmarks: what their threads do while they wait, logs, and failures."""

from __future__ import annotations

import sys

import pytest
from helpers.accidents.long_command import LAST_WORDS, LONG, stopped_alone

from nnunet_hetero.demo.steps import StepFailed, Steps

POLICY = [sys.executable, "-c", "import os; print(os.environ.get('OMP_WAIT_POLICY'))"]


def policy(folder, timed: bool) -> str:
    Steps(folder, total=1).run("policy", POLICY, timed=timed)
    return (folder / "logs" / "policy.log").read_text().strip()


@pytest.fixture(autouse=True)
def no_variables_left(monkeypatch):
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("nnUNet_extTrainer", "")  # Steps sets it; put back afterwards


def test_waiting_threads_sleep_unless_times_are_measured(tmp_path):
    assert policy(tmp_path, timed=False) == "PASSIVE"
    assert policy(tmp_path, timed=True) == "None"


@pytest.mark.parametrize("timed", [False, True])
def test_the_users_own_policy_stays(tmp_path, monkeypatch, timed):
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    assert policy(tmp_path, timed) == "ACTIVE"


def test_a_failure_shows_the_end_of_the_log(tmp_path):
    with pytest.raises(StepFailed, match=r"exit code 3[\s\S]*the last words"):
        Steps(tmp_path, total=1).run("fails", [sys.executable, "-c", "print('the last words'); raise SystemExit(3)"])


STOPPED = """
import sys
from pathlib import Path
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.io.stopping.requests import StopRequest, requests_to_stop
try:
    with requests_to_stop():
        Steps(Path(sys.argv[1]), total=1).run("long", [sys.executable, "-c", sys.argv[2]], show="begun")
except StopRequest:
    sys.exit(143)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_who_stops_the_chain_stops_the_command_that_runs(tmp_path):
    """A scheduler may stop our process alone; the command must not go on and write where the next call begins anew."""
    words = [sys.executable, "-c", STOPPED, str(tmp_path), LONG]
    assert stopped_alone(words, 1) == 143
    assert (tmp_path / "logs" / "long.log").read_text() == LAST_WORDS
