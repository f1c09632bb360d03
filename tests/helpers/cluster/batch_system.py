"""A batch system of this machine: ``sbatch``, ``scontrol requeue``, ``scancel``, which run an array's tasks for real.

`BatchSystem` writes them into a folder for PATH. ``sbatch`` starts each task at once, with the variables that SLURM
sets; a task that is requeued runs again when it has ended. What a task says is in ``task-NUMBER.log``.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

_PROGRAM = """#!{python}
import sys
sys.path.insert(0, {helpers!r})
from helpers.cluster.batch_system import {function}
{function}({folder!r}, sys.argv[1:])
"""


class BatchSystem:
    """See above.

    Args:
        folder: For the programs and the books.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir()
        helpers = str(Path(__file__).parents[2])
        for name in ("sbatch", "scontrol", "scancel"):
            text = _PROGRAM.format(python=sys.executable, helpers=helpers, function=name, folder=str(folder))
            (folder / name).write_text(text)
            (folder / name).chmod(0o755)

    def process_of(self, task: int, seconds: float = 120) -> int:
        """Number of the process of a task's script, when it is there."""
        file = self.folder / f"task-{task}.pid"
        end = time.monotonic() + seconds
        while not file.exists():
            assert time.monotonic() < end, "the task has not begun"
            time.sleep(0.05)
        return int(file.read_text())

    def warn(self, task: int) -> None:
        """What SLURM does some minutes before the end: SIGUSR1 to the script alone."""
        os.kill(self.process_of(task), signal.SIGUSR1)

    def codes(self, number: int, seconds: float) -> list[list[int]]:
        """The exit codes of each task's runs, when all have ended."""
        end = time.monotonic() + seconds
        files = [self.folder / f"task-{task}.codes" for task in range(number)]
        while not all(file.exists() for file in files):
            assert time.monotonic() < end, "the tasks have not ended"
            time.sleep(0.1)
        return [[int(code) for code in file.read_text().split()] for file in files]


def sbatch(folder: str, arguments: list[str]) -> None:
    """Start the tasks of a script, of which it keeps a copy."""
    text = Path(arguments[-1]).read_text(encoding="utf-8")
    script = Path(folder, "script.sh")
    script.write_text(text, encoding="utf-8")
    array = re.search(r"^#SBATCH --array=(\d+)-(\d+)$", text, re.MULTILINE)
    first, last = map(int, array.groups()) if array else (0, 0)
    for task in range(first, last + 1):
        program = f"from helpers.cluster.batch_system import run_task; run_task({folder!r}, {str(script)!r}, {task})"
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
        # Whoever waits for the end of our output waits for us alone.
        apart = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "start_new_session": True}
        subprocess.Popen([sys.executable, "-c", program], env=environment, **apart)
    print("Submitted batch job 7")


def run_task(folder: str, script: str, task: int) -> None:
    """Run a task, and again as long as it asks for that."""
    place, codes = Path(folder), []
    again = place / f"7_{task}.again"
    environment = {**os.environ, "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": str(task)}
    while True:
        with (place / f"task-{task}.log").open("ab") as log:
            process = subprocess.Popen(
                ["bash", script], env=environment, stdout=log, stderr=log, start_new_session=True
            )
            (place / f"task-{task}.pid").write_text(str(process.pid))
            codes.append(process.wait())
        if not again.exists():
            break
        again.unlink()
    (place / "codes.draft").write_text(" ".join(map(str, codes)))
    os.replace(place / "codes.draft", place / f"task-{task}.codes")


def scontrol(folder: str, arguments: list[str]) -> None:
    """``scontrol requeue JOB_TASK``."""
    action, job = arguments
    assert action == "requeue"
    Path(folder, f"{job}.again").touch()


def scancel(folder: str, arguments: list[str]) -> None:
    """End the job's scripts and what they have started."""
    for file in Path(folder).glob("task-*.pid"):
        os.killpg(int(file.read_text()), signal.SIGKILL)
    Path(folder, "cancelled").write_text(" ".join(arguments))
