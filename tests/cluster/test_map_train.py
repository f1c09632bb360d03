"""Trainings by workers: processes that are told of, and end with their worker."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from nnunet_hetero.cluster.map_train import TETHERED, Training, map_trainings, train_one
from nnunet_hetero.cluster.workplace import Workplace, versions
from nnunet_hetero.errors import DataError

HERE = Workplace(versions(), (), ())


def test_what_ended_is_left_and_what_fails_is_told(client, nnunet_folders, tmp_path):
    done = Training(("501", "3d_fullres", "0"), str(tmp_path / "fold_0"))
    (tmp_path / "fold_0" / "validation").mkdir(parents=True)
    (tmp_path / "fold_0" / "validation" / "summary.json").touch()
    assert not done.is_done()
    (tmp_path / "fold_0" / "checkpoint_final.pth").touch()
    assert done.is_done()
    train_one(done, HERE)  # nothing to do
    wrong = Training(("999", "3d_fullres", "0", "-device", "cpu"), str(tmp_path / "fold_1"))
    with pytest.raises(DataError, match=r"it ended with code 1: .*999"):
        train_one(wrong, HERE)
    assert map_trainings(client, {"fold 0": done}, HERE) == {}


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="asks /proc whether a process is there")
def test_a_command_ends_with_its_parent():
    """The parent is killed while the command is at work."""
    command = [sys.executable, "-m", TETHERED, "convert", "phantom", "-h"]
    child = "import subprocess, sys, time\n" + (
        f"process = subprocess.Popen({[sys.executable, '-c', SLEEPER]!r}, stdin=subprocess.PIPE)\n"
        "print(process.pid, flush=True)\ntime.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", child], stdout=subprocess.PIPE, text=True) as parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.2)
        os.kill(pid, 0)
        parent.send_signal(signal.SIGKILL)
    assert _ends_within(pid, 60)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.wait(120) == 0


SLEEPER = (
    "import threading, time\nfrom nnunet_hetero.cli.cluster.tethered import watch_parent\n"
    "threading.Thread(target=watch_parent, daemon=True).start()\ntime.sleep(60)\n"
)


def _ends_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as stream:
                if stream.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            return True
        time.sleep(0.1)
    return False
