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
        file = self.folder / RECORD_NAME
        if self._is_ours(file):
            begun = file.stat().st_mtime_ns
            return {case for case in cases if self._is_done(case, begun)}
        self.folder.mkdir(parents=True, exist_ok=True)
        replace_json(file, self._record)
        return set()

    def end(self) -> None:
        """All cases are predicted and scored; the next validation does all of it again."""
        (self.folder / RECORD_NAME).unlink(missing_ok=True)

    def _is_ours(self, file: Path) -> bool:
        try:
            return json.loads(file.read_text(encoding="utf-8")) == self._record
        except (FileNotFoundError, ValueError):
            return False

    def _is_done(self, case: str, begun: int) -> bool:
        # A file from before is of an earlier validation. Every file here was written as a whole.
        files = [self.folder / f"{case}{ending}" for ending in self.endings]
        return all(file.is_file() and file.stat().st_mtime_ns >= begun for file in files)


def hash_of(network: nn.Module) -> str:
    """SHA-256 of a network's weights and buffers, with their names."""
    digest = hashlib.sha256()
    for name, value in network.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()
