"""Background processes that fail, die or lose their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

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
import os, time
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


def wait_in(folder: str) -> None:
    """Runs in a background process: says that it has begun, and takes long."""
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(600)


INTERRUPTED_SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_processes import wait_in
from nnunet_hetero.io.processes import Workers, threads
from nnunet_hetero.io.stopping.requests import requests_to_stop, stopped_by_user
if __name__ == "__main__":
    try:
        with requests_to_stop(), Workers(2) as workers, threads(1):
            for number in range(8):
                workers.submit(number, wait_in, sys.argv[1])
            while workers:
                workers.pop()
    except KeyboardInterrupt as interrupt:
        sys.exit(stopped_by_user(interrupt, "Go on."))
"""


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no groups of processes")
@pytest.mark.parametrize(("number", "who"), [("SIGINT", "Ctrl-C"), ("SIGTERM", "SIGTERM")])
def test_interrupt_of_the_whole_group_ends_all_at_once(tmp_path, number, who):
    """Ctrl-C in a terminal, or a scheduler: every process gets the signal, once."""
    number = signal.Signals[number]
    script, begun = tmp_path / "script.py", tmp_path / "begun"
    script.write_text(INTERRUPTED_SCRIPT)
    begun.mkdir()
    process = subprocess.Popen(
        [sys.executable, script, begun, Path(__file__).parent],
        start_new_session=True,
        # Shells start background jobs with the signal ignored, and the tests may be one.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while len(list(begun.iterdir())) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)  # without the remedy, 600 s
    assert process.returncode == 128 + number
    assert output.strip().splitlines() == [
        f"Stopped by {who}. What was finished is there as a whole, nothing is half written. Go on."
    ]
    assert not [entry.name for entry in begun.iterdir() if is_running(int(entry.name))]
    assert len(list(begun.iterdir())) == 2  # no third job was begun
