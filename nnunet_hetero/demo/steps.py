"""Run commands one after the other as a user would type them, with a log file each."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from nnunet_hetero.errors import HeteroError
from nnunet_hetero.nnunet.environment import set_ext_trainer


class StepFailed(HeteroError):
    """A command of the chain did not succeed."""


class Steps:
    """Runs commands in one environment, says what each does and where its output is kept.

    Args:
        folder: Where the logs go (``logs/``) and the nnU-Net folders are.
        total: Number of steps, for their headings.

    Attributes:
        several_at_once: Whether commands run side by side, each in a thread; lines then begin with the command's name.
    """

    several_at_once = False

    def __init__(self, folder: Path, total: int):
        self.total = total
        self.number = 0
        self.commands: list[str] = []
        self.seconds: dict[str, float] = {}
        self.logs = folder / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)
        set_ext_trainer()
        self.environment = dict(os.environ)
        # Commands of this environment, also when it was not activated in the shell.
        bin_folder = str(Path(sys.executable).parent)
        self.environment["PATH"] = os.pathsep.join([bin_folder, self.environment.get("PATH", "")])
        self.environment["PYTHONUNBUFFERED"] = "1"
        self._at_work: set[subprocess.Popen] = set()
        self._ended = False

    def say(self, what: str) -> None:
        """Print the heading of the next step."""
        self.number += 1
        print(f"\n[{self.number}/{self.total}] {what}", flush=True)

    def run(self, name: str, command: Sequence[str], show: str | None = None, timed: bool = False) -> None:
        """Run a command, its whole output into ``logs/NAME.log``.

        Args:
            name: Of the log.
            command: As typed.
            show: Regular expression of the lines to print as well; None prints none of them.
            timed: Whether the command measures times. Its threads then wait as torch's do by default; else they sleep:
                spinning ones stall a step for seconds where others want the cores too.

        Raises:
            StepFailed: If the command ends with another exit code than 0; with the last lines of its log.
        """
        text = shlex.join(command)
        self.commands.append(text)
        who = f"{name}: " if self.several_at_once else ""
        print(f"  {who}$ {text}", flush=True)
        log = self.logs / f"{name}.log"
        begin = time.monotonic()
        with log.open("w", encoding="utf-8") as file:
            process = subprocess.Popen(
                command,
                env=self.environment if timed else {"OMP_WAIT_POLICY": "PASSIVE"} | self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._at_work.add(process)
            if self._ended:
                process.terminate()
            try:
                for line in process.stdout or ():
                    file.write(line)
                    file.flush()
                    if show and re.search(show, line):
                        print(f"    {who}{line.rstrip()}", flush=True)
                code = process.wait()
            except BaseException:  # what stops us may not have reached it
                process.terminate()
                file.writelines(process.stdout or ())  # its last words; it ends without a reader of them
                process.wait()
                raise
            finally:
                self._at_work.discard(process)
        self.seconds[name] = time.monotonic() - begin
        if code != 0:
            tail = "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
            raise StepFailed(f"'{text}' ended with exit code {code}. The end of {log}:\n{tail}")
        print(f"    {who}done in {self.seconds[name]:.0f} s; its output: {log}", flush=True)

    def end(self) -> None:
        """Ask the commands that other threads run, or are about to, to end."""
        self._ended = True
        for process in tuple(self._at_work):
            process.terminate()
