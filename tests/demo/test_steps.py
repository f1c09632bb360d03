"""The commands of the demo and the benchmarks: what their threads do while they wait, logs, and failures."""

from __future__ import annotations

import sys

import pytest

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
