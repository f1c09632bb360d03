"""Whether a worker is fit for the work: the same versions, and the same files under the same paths."""

from __future__ import annotations

import functools
import os
import platform
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from distributed import Client

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.drafts import new_draft, remove_draft
from nnunet_hetero.io.processes import FatalError
from nnunet_hetero.nnunet.arguments import usable_device
from nnunet_hetero.version import __version__

SECONDS_TO_COME = 60
"""For the first worker of a scheduler that runs already."""


def versions() -> tuple[tuple[str, str], ...]:
    """Of what client and workers must have in common: they exchange objects, and results must not depend on the worker.

    Examples:
        >>> [name for name, _ in versions()]
        ['nnunet_hetero', 'nnU-Net', 'Python']
    """
    python = ".".join(platform.python_version_tuple()[:2])
    return ("nnunet_hetero", __version__), ("nnU-Net", metadata.version("nnunetv2")), ("Python", python)


@dataclass(frozen=True)
class Workplace:
    """What every worker must find.

    Args:
        versions: See `versions`.
        files: Size in bytes of files that must be there, by absolute path.
        folders: Absolute paths of folders to read from.
        probe: A file in the output folder that must be there; None writes nothing.
        device: That torch must be able to use, e.g. ``cuda``; None needs none.
    """

    versions: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, int], ...]
    folders: tuple[str, ...]
    probe: str | None = None
    device: str | None = None

    def problem(self) -> str | None:
        """What is wrong here; None if all is there."""
        own = dict(versions())
        for name, version in self.versions:
            if own.get(name) != version:
                return f"{name} is {own.get(name)}, and {version} where the work is given out. Install the same version"
        for folder in self.folders:
            if not os.path.isdir(folder):
                return f"it does not see the folder {folder}. Both must share it, under one path"
        for file, size in self.files:
            if not os.path.isfile(file):
                return f"it does not see the file {file}. Both must share it, under one path"
            if os.path.getsize(file) != size:
                return f"{file} is another file than where the work is given out. Both must share it"
        if self.device is not None:
            try:
                usable_device(self.device)
            except SettingsError as error:
                return str(error).rstrip(".")
        return None if self.probe is None else _problem_with_output(Path(self.probe))


def _problem_with_output(probe: Path) -> str | None:
    if not probe.is_file():
        return f"it does not see the output folder {probe.parent} as it is here. Both must share it, under one path"
    try:
        file = new_draft(probe.parent / "probe")
        file.touch(exist_ok=False)
    except OSError as error:
        return f"it cannot write to the output folder {probe.parent} ({error.strerror}). Give it the right to"
    remove_draft(file)
    return None


@functools.lru_cache(8)
def require_fit(workplace: Workplace) -> None:
    """Refuse the process that this runs in; it is looked at once.

    Raises:
        FatalError: If it is not fit.
    """
    problem = workplace.problem()
    if problem is not None:
        raise FatalError(f"The worker on {socket.gethostname()} cannot be used: {problem}.")


def require_fit_workers(client: Client, workplace: Workplace) -> None:
    """Wait for a worker, and refuse a cluster with workers that are not fit. Later ones are looked at when they begin.

    Raises:
        SettingsError: If there is no worker, or one is not fit.
    """
    if not client.scheduler_info()["workers"]:
        print("Waiting for workers ...", flush=True)
    try:
        client.wait_for_workers(1, timeout=SECONDS_TO_COME if client.cluster is None else None)
    except TimeoutError as error:
        raise SettingsError(
            f"The scheduler has had no worker for {SECONDS_TO_COME} seconds. Start some: dask worker ADDRESS"
        ) from error
    for address, found in client.run(workplace.problem, on_error="return").items():
        if isinstance(found, OSError):
            continue  # it has died; the next one is looked at when it begins
        if isinstance(found, Exception):
            found = (
                f"it fails with {type(found).__name__}: {found}. Install nnunet_hetero[cluster] in its environment, "
                "the same version as here"
            )
        if found is not None:
            raise SettingsError(f"The worker at {address} cannot be used: {found}.")


def files_and_sizes(files: Iterable[str | os.PathLike]) -> tuple[tuple[str, int], ...]:
    """For a `Workplace`."""
    return tuple((os.path.abspath(file), os.path.getsize(file)) for file in files)
