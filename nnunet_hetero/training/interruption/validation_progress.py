"""nnU-Net's validation after training, continued after an interruption: what was predicted by these weights stays."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

import torch
from torch import nn

from nnunet_hetero.io.atomic_files import replace_json

RECORD_NAME = "unfinished.json"
"""In the folder ``validation`` as long as not all cases are predicted and scored."""

BEFORE = "before"
"""In the record: when the files were written that were there already, in nanoseconds."""


class ValidationProgress:
    """Which cases of a fold are predicted already.

    Args:
        folder: nnU-Net's folder ``validation`` of the fold.
        network: That predicts.
        endings: Of the files that each case has when it is done.
    """

    def __init__(self, folder: str | os.PathLike, network: nn.Module, endings: Iterable[str]):
        self.folder = Path(folder)
        self.endings = tuple(endings)
        self._record = {"weights": hash_of(network), "endings": list(self.endings)}

    def begin(self, cases: Iterable[str]) -> set[str]:
        """Begin, or go on where a validation by the same weights was interrupted.

        Args:
            cases: All of the fold.

        Returns:
            Those that are done; none if the last validation here came to its end, or was by other weights.
        """
        cases = list(cases)
        file = self.folder / RECORD_NAME
        before = self._times_before(file)
        if before is not None:
            return {case for case in cases if self._is_done(case, before)}
        self.folder.mkdir(parents=True, exist_ok=True)
        times = {}
        for case in cases:
            for path in filter(Path.is_file, self._files_of(case)):
                times[path.name] = path.stat().st_mtime_ns
        replace_json(file, {**self._record, BEFORE: times})
        return set()

    def end(self) -> None:
        """All cases are predicted and scored; the next validation does all of it again."""
        (self.folder / RECORD_NAME).unlink(missing_ok=True)

    def _times_before(self, file: Path) -> dict[str, int] | None:
        """When the files of an earlier validation were written, as the record of this one has it; None without one."""
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
            before = record.pop(BEFORE)
        except (FileNotFoundError, ValueError, KeyError, AttributeError):
            return None
        return before if record == self._record and isinstance(before, dict) else None

    def _files_of(self, case: str) -> list[Path]:
        return [self.folder / f"{case}{ending}" for ending in self.endings]

    def _is_done(self, case: str, before: dict[str, int]) -> bool:
        # Every file here was written as a whole. Times are compared for equality alone: clocks of nodes may differ.
        files = self._files_of(case)
        return all(file.is_file() and file.stat().st_mtime_ns != before.get(file.name) for file in files)


def hash_of(network: nn.Module) -> str:
    """SHA-256 of a network's weights and buffers, with their names."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
