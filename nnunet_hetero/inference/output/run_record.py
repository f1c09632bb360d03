"""``run.json`` beside the predictions: what predicted each case; ``failed.json``: which cases failed, and why."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.io.digests import sha256_of
from nnunet_hetero.io.documents import Document
from nnunet_hetero.version import __version__

RUN_NAME = "run.json"
FAILED_NAME = "failed.json"
STATEMENTS = "statements"
"""Key of a case: what the intervals of its volumes rest on."""


class _Case(TypedDict):
    run: int


class _Runs(TypedDict):
    runs: NotRequired[list[dict[str, Any]]]
    cases: NotRequired[dict[str, _Case]]


class _Failed(TypedDict):
    reason: str
    step: str


_REMEDY = "Predict the cases again."
RUNS = Document(_Runs, "the record of what predicted each case", _REMEDY)
FAILED = Document(dict[str, _Failed], "the list of cases that failed", _REMEDY)
"""Both only help: damaged ones are put aside."""


def describe_run(
    model: dict[str, Any], checkpoints: Sequence[Path], flags: dict[str, Any], device: torch.device
) -> dict:
    """All that settles the predictions of a run, besides the images.

    Args:
        model: Folder, trainer, plans and configuration.
        checkpoints: One file per fold.
        flags: What the user may choose.
        device: Where the network runs.
    """
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine()
    run = {
        "versions": {
            "nnunet_hetero": __version__,
            "nnunetv2": metadata.version("nnunetv2"),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
        "model": {
            **model,
            "checkpoints": [
                {"file": f"{file.parent.name}/{file.name}", "sha256": sha256_of(file)} for file in checkpoints
            ],
        },
        "flags": flags,
        "device": f"{device.type} ({name})",
    }
    # As it comes back from the file, so that equal runs are known as equal: JSON has no tuples.
    return json.loads(json.dumps(run))


def record_cases(folder: str | os.PathLike, cases: Sequence[tuple[str, dict, Mapping[str, Any]]]) -> None:
    """Put cases into ``run.json``: ``{"runs": [run, ...], "cases": {case: {"run": 0, ...}}}``.

    A run that differs in nothing from an earlier one into the same folder, as a continued one or another part, is the
    same entry.

    Args:
        folder: Output folder.
        cases: Name, run (see `describe_run`), and what is said of the case itself.
    """

    def change(content: dict) -> dict:
        runs, entries = list(content.get("runs", [])), dict(content.get("cases", {}))
        for case, run, measured in cases:
            if run not in runs:
                runs.append(run)
            entries[case] = {"run": runs.index(run), **measured}
        return {"runs": runs, "cases": dict(sorted(entries.items()))}

    RUNS.update(Path(folder) / RUN_NAME, change)


def record_failures(folder: str | os.PathLike, failures: Mapping[str, Failure | None]) -> None:
    """Put cases into ``failed.json``, or take them out (None); the file is there as long as a case is in it."""

    def change(content: dict) -> dict:
        for case, failure in failures.items():
            content.pop(case, None)
            if failure is not None:
                content[case] = {"reason": failure.reason, "step": failure.step}
        return dict(sorted(content.items()))

    FAILED.update(Path(folder) / FAILED_NAME, change)


class PeakMemory:
    """Bytes in use at most: on a CUDA device since `start`, else by this process since it began."""

    def __init__(self, device: torch.device):
        self.device = device

    def start(self) -> None:
        """Begin to measure."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)

    def read(self) -> int | None:
        """The peak so far; None where the system does not tell."""
        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated(self.device)
        try:
            import resource
        except ImportError:  # Windows
            return None
        # Kilobytes, but bytes on macOS.
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
