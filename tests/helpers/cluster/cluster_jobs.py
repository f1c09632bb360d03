"""Jobs for the workers of a cluster, which import them from here."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.output.books import CaseEntry
from nnunet_hetero.io.processes import FatalError


def double(number: int) -> int:
    """Twice the number; some numbers are bad."""
    if number == 13:
        raise DataError("13 is no number for us")
    if number == 14:
        raise FatalError("the worker is no worker for us")
    return 2 * number


def begun(folder: str, name: str, deaths: int) -> int:
    """Count how often this was begun, and kill the worker that often; gives the process."""
    tries = len(list(Path(folder).glob(f"{name}.*")))
    Path(folder, f"{name}.{tries}").touch()
    if tries < deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return os.getpid()


def entry_of(folder: str, name: str) -> list[CaseEntry]:
    """The entry of a case that went well, or not, as its name says."""
    if name == "deadly":
        os.kill(os.getpid(), signal.SIGKILL)
    if name == "raising":
        raise OSError(28, "No space left on device")
    if name == "bad":
        return [CaseEntry(folder, name, Failure("reading", "no image"))]
    return [CaseEntry(folder, name, record={"used": ["T1"], "absent": {}})]
