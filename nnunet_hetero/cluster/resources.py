"""What a job of a batch system asks for: one file, ``slurm.yaml``, for workers of Dask and for job arrays."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field
from typing_extensions import TypedDict

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.documents import Document, ProblemError, read_text

SUBMIT_COMMANDS = {"slurm": "sbatch", "lsf": "bsub", "pbs": "qsub"}
"""By which jobs of a batch system are submitted."""

SCHEDULERS = tuple(SUBMIT_COMMANDS)

_Number = Annotated[int, Field(ge=1, le=10_000)]
_TIME = re.compile(r"(?:(\d+)-)?(\d+):([0-5]\d)(?::([0-5]\d))?")
_MEMORY = re.compile(r"(\d+) ?([MGT])i?B?", re.IGNORECASE)
_MEGABYTES = {"M": 1, "G": 1024, "T": 1024**2}


class _File(TypedDict, total=False):
    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]  # how pydantic configures a TypedDict

    scheduler: Literal["slurm", "lsf", "pbs"]
    queue: str
    account: str
    walltime: str
    memory: str | int
    cpus: _Number
    gpus: Annotated[int, Field(ge=0)]
    setup: list[str]
    directives: list[str]
    workers: _Number
    cases_per_worker: _Number
    interface: str
    local_directory: str
    log_directory: str


CLUSTER_FILE = Document(
    _File,
    f"the jobs of a batch system, with the keys {', '.join(_File.__annotations__)}",
    "See docs/how-to/predict-thousands-of-cases.md.",
    SettingsError,
)


@dataclass(frozen=True)
class JobResources:
    """What one job asks for.

    Args:
        scheduler: Of `SCHEDULERS`.
        queue: Queue, or partition; None leaves it to the batch system.
        account: Whom it is charged to.
        walltime: Minutes that it may run.
        memory: Megabytes.
        cpus: Cores.
        gpus: Graphics cards.
        setup: Lines of shell to run first, such as the activation of an environment.
        directives: More of the batch system's own flags, such as ``--constraint=a100``.
        workers: Jobs at a time, of workers of Dask.
        cases_per_worker: Cases that a worker of Dask has at a time: one is on the device, others are read and written.
        interface: Network interface of the workers and their scheduler, such as ``ib0``.
        local_directory: Where workers of Dask may write, a folder of their own machine.
        log_directory: Where the jobs' output goes.
    """

    scheduler: str
    queue: str | None = None
    account: str | None = None
    walltime: int = 4 * 60
    memory: int = 16 * 1024
    cpus: int = 4
    gpus: int = 1
    setup: tuple[str, ...] = ()
    directives: tuple[str, ...] = ()
    workers: int = 1
    cases_per_worker: int = 1
    interface: str | None = None
    local_directory: str | None = None
    log_directory: str = "logs"

    @classmethod
    def of(cls, values: Mapping[str, Any], name: str) -> JobResources:
        """From values as a file or flags have them; those that are None count as not given.

        Args:
            values: By the names of this class.
            name: Where they come from, for errors.

        Raises:
            SettingsError: If the scheduler is none that is known, or a time or an amount of memory is none.
        """
        given: dict[str, Any] = {key: value for key, value in values.items() if value is not None}
        if given.get("scheduler") not in SCHEDULERS:
            raise SettingsError(
                f"{name}: the scheduler is {given.get('scheduler', 'not named')}; known are {', '.join(SCHEDULERS)}. "
                "For another batch system, start Dask's scheduler and workers in its jobs and give the address: "
                "--cluster tls://..."
            )
        if "walltime" in given:
            given["walltime"] = minutes(given["walltime"], name)
        if "memory" in given:
            given["memory"] = megabytes(given["memory"], name)
        given |= {key: tuple(value) for key, value in given.items() if isinstance(value, list)}
        for key, value in given.items():
            for text in value if isinstance(value, tuple) else (value,):
                if isinstance(text, str) and not text.strip():
                    raise SettingsError(f"{name}: {key} is empty. Leave it out, or say which.")
                if isinstance(text, str) and ("\n" in text or "\r" in text):
                    raise SettingsError(f"{name}: {text!r} has several lines. Give each line by itself.")
        return cls(**given)

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The values that it has."""
        return tuple(entry.name for entry in fields(cls))


def read_resources(file: Path) -> JobResources:
    """What a YAML file asks for.

    Raises:
        SettingsError: If it is not there, is no YAML, or has unknown keys or impossible values.
    """
    return JobResources.of(read_cluster_file(file), str(file))


def read_cluster_file(file: Path) -> dict[str, Any]:
    """The content of a YAML file, checked; times and amounts are those of the file. Raises as `read_resources`."""
    import yaml  # comes with Dask

    try:
        text = read_text(file)
        node = yaml.compose(text, yaml.SafeLoader)
        twice = _named_twice(node)
        content = yaml.safe_load(text)
        if isinstance(content, dict) and "walltime" in content:
            content["walltime"] = _as_typed(node, "walltime")
    except ProblemError as problem:
        raise CLUSTER_FILE.refusal(file, str(problem)) from problem
    except yaml.YAMLError as error:
        raise CLUSTER_FILE.refusal(file, f"is no YAML ({' '.join(str(error).split())})") from error
    if twice:
        raise CLUSTER_FILE.refusal(file, f"has the key {twice[0]} twice")
    return CLUSTER_FILE.check(content, file)


def _named_twice(node: Any) -> list[str]:
    """Keys of which YAML would take the last one silently; none where there are no keys."""
    pairs = node.value if node is not None and node.id == "mapping" else []
    counts = Counter(key.value for key, _ in pairs)
    return [key for key, count in counts.items() if count > 1]


def _as_typed(node: Any, name: str) -> str:
    """The text of a value; YAML would read ``24:00`` as 24 minutes, in seconds."""
    return next(str(value.value) for key, value in node.value if key.value == name)


def minutes(text: str, name: str) -> int:
    """Minutes of a time limit: ``04:00:00``, ``04:00`` (both are hours), ``1-12:00:00`` (a day and a half).

    Examples:
        >>> minutes("04:00:00", "slurm.yaml"), minutes("24:00", "slurm.yaml"), minutes("1-00:30:00", "slurm.yaml")
        (240, 1440, 1470)
    """
    match = _TIME.fullmatch(text.strip())
    days, hours, of_hour = (int(number or 0) for number in match.groups()[:3]) if match else (0, 0, 0)
    found = (days * 24 + hours) * 60 + of_hour
    if found < 1:
        raise SettingsError(f"{name}: the walltime is '{text}'. Give hours, minutes and seconds, e.g. 04:00:00.")
    return found


def megabytes(text: str | int, name: str) -> int:
    """Megabytes of an amount of memory.

    Examples:
        >>> megabytes("32GB", "slurm.yaml")
        32768
    """
    match = _MEMORY.fullmatch(str(text).strip())
    if match is None or int(match[1]) == 0:
        raise SettingsError(f"{name}: the memory is '{text}'. Give megabytes or gigabytes, e.g. 32GB.")
    return int(match[1]) * _MEGABYTES[match[2].upper()]
