"""Background processes that fail, die or lose their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.processes import Workers

DIE = "die"


def job(what):
    """Runs in a background process."""
    if what == DIE:
        os.kill(os.getpid(), signal.SIGKILL)
    if what == "data":
        raise DataError("Case 'a' is bad.")
    if what == "defect":
        raise ZeroDivisionError("division by zero")
    return what


@pytest.mark.parametrize("processes", [0, 2])
def test_errors_come_back_in_words_and_in_order(processes):
    with Workers(processes) as workers:
        for number, what in enumerate(["x", "data", "defect", "y"]):
            workers.submit(number, job, what)
        outcomes = [workers.pop() for _ in range(4)]
    assert [key for key, _ in outcomes] == [0, 1, 2, 3]
    assert [outcome.result for _, outcome in outcomes] == ["x", None, None, "y"]
    assert [outcome.error for _, outcome in outcomes] == [
        None,
        "Case 'a' is bad.",
        "ZeroDivisionError: division by zero",
        None,
    ]


def test_a_job_that_kills_its_process_costs_no_other(tmp_path):
    """As the kernel does when the memory is used up; nnU-Net's pool of processes waits forever then."""
    with Workers(2) as workers:
        for what in ["a", "b", DIE, "c", "d"]:
            workers.submit(what, job, what)
        outcomes = dict(workers.pop() for _ in range(5))
    assert [outcomes[name].result for name in "abcd"] == list("abcd")
    assert "died, twice" in outcomes[DIE].error


SCRIPT = """
import os, sys, time
from nnunet_hetero.io.processes import Workers
if __name__ == "__main__":
    workers = Workers(1)
    workers.submit("key", os.getpid)
    print(workers.pop()[1].result, flush=True)
    time.sleep(60)
"""


def test_processes_end_with_a_killed_parent(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    parent = subprocess.Popen([sys.executable, tmp_path / "script.py"], stdout=subprocess.PIPE, text=True)
    child = int(parent.stdout.readline())
    os.kill(child, 0)
    parent.kill()
    parent.wait()
    for _ in range(100):
        try:
            with open(f"/proc/{child}/stat") as file:
                if file.read().split(")")[1].split()[0] == "Z":  # ended, nobody has asked for its exit code
                    break
        except FileNotFoundError:
            break
        time.sleep(0.1)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("The background process outlived its parent.")
