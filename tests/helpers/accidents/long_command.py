"""A command that takes long and ends in words when it is asked to, for those who stop others."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Sequence

LONG = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended in words"))
print("begun")
time.sleep(600)
"""
"""For ``python -c``; it says that it has begun."""

LAST_WORDS = "begun\nended in words\n"
"""What it has said, then."""


def stopped_alone(words: Sequence[str], commands: int) -> int:
    """Send SIGTERM to a process, and not to the commands that it runs, once so many of them have begun.

    Args:
        words: What starts it; it shows the first word of each `LONG`.
        commands: How many it runs at once.

    Returns:
        Its exit code, when all that hold its output have ended.
    """
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(commands):
            while not (line := process.stdout.readline()).endswith("begun\n"):
                assert line
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)  # without the remedy, 600 s: the commands hold the pipe
    return process.returncode
