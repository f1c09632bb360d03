"""Trainings on a cluster: each a process of its own on a worker, continued where it was left."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distributed import Client
from tqdm import tqdm

from nnunet_hetero.cluster.fan_out import FanOut
from nnunet_hetero.cluster.workplace import Workplace, require_fit, require_fit_workers
from nnunet_hetero.errors import DataError
from nnunet_hetero.integration.train_command import is_complete

TETHERED = "nnunet_hetero.cli.cluster.tethered"
"""Module that runs a command of ours and ends when its parent does."""

_LINES = 20  # of the end of the output, for the user


@dataclass(frozen=True)
class Training:
    """One training.

    Args:
        arguments: Of ``nnunet_hetero train``.
        folder: Of the fold, where the results go.
    """

    arguments: tuple[str, ...]
    folder: str

    def is_done(self) -> bool:
        """Whether it has ended, with its validation."""
        return is_complete(Path(self.folder))


def map_trainings(client: Client, trainings: Mapping[str, Training], workplace: Workplace) -> dict[str, str]:
    """Do those trainings that are not done.

    Args:
        client: Of the cluster.
        trainings: By a name.
        workplace: What the workers must find.

    Returns:
        Why trainings failed, by name.

    Raises:
        SettingsError: If a worker is not fit.
    """
    require_fit_workers(client, workplace)
    todo = {name: (training, workplace) for name, training in trainings.items() if not training.is_done()}
    print(f"{len(trainings)} training(s), {len(trainings) - len(todo)} of them are done already.", flush=True)
    failed: dict[str, str] = {}
    outcomes = FanOut(client, "train").run(train_one, todo)
    try:
        for name, outcome in tqdm(outcomes, total=len(todo), desc="train", unit="training"):
            if outcome.error is not None:
                failed[name] = outcome.error
    finally:
        outcomes.close()
    return failed


def train_one(training: Training, workplace: Workplace) -> None:
    """Do a training on a worker, or what is left of it.

    Raises:
        DataError: If it fails; with the end of what it said.
    """
    require_fit(workplace)
    if training.is_done():
        return
    command = [sys.executable, "-m", TETHERED, "train", *training.arguments]
    with tempfile.TemporaryFile() as said:
        # It reads from us and ends when it hears that we have ended, whatever ended us.
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=said, stderr=subprocess.STDOUT) as process:
            process.wait()
        if process.returncode:
            raise DataError(f"it ended with code {process.returncode}: {_end_of(said)}")


def _end_of(said: object) -> str:
    said.seek(0)  # type: ignore[attr-defined]
    lines: Sequence[str] = said.read().decode("utf-8", "replace").splitlines()  # type: ignore[attr-defined]
    errors = [line for line in lines if line.startswith("error: ")]
    return errors[-1].removeprefix("error: ") if errors else "\n".join(lines[-_LINES:])
