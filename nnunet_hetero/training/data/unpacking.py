"""Preprocessed cases in nnU-Net's earlier format, ``.npz``, unpacked before a training, each file whole or not there.

nnU-Net's own function writes in place: what it leaves when a scheduler ends it in the middle ends the next training.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import replacing
from nnunet_hetero.io.processes import Workers, outcomes_in_order

ENDINGS = {"data": ".npy", "seg": "_seg.npy"}
"""Of the file that nnU-Net looks for, by the array's name in the ``.npz``."""


def unpack(folder: str | os.PathLike, num_processes: int) -> None:
    """Unpack the cases of a folder, those that are not yet.

    Args:
        folder: Of a configuration in ``nnUNet_preprocessed``.
        num_processes: In the background; 0 does it in this process.

    Raises:
        DataError: If a case cannot be unpacked.
    """
    todo = [file for file in sorted(Path(folder).glob("*.npz")) if not all(map(_is_whole, _targets(file).values()))]
    with Workers(min(num_processes, len(todo))) as workers:
        for file, outcome in outcomes_in_order(workers, unpack_one, todo):
            if outcome.error is not None:
                raise DataError(
                    f"{file} cannot be unpacked: {outcome.error}. If the file is damaged, preprocess again: "
                    "nnUNetv2_preprocess."
                )


def unpack_one(file: Path) -> None:
    """Unpack a case.

    Args:
        file: Its ``.npz``.

    Raises:
        OSError: If the disk does not take it.
        ValueError: If it is damaged.
    """
    with np.load(file) as content:
        for name, target in _targets(file).items():
            if not _is_whole(target):
                with replacing(target) as stream:
                    np.save(stream, content[name])


def _targets(file: Path) -> dict[str, Path]:
    return {name: file.with_name(file.name.removesuffix(".npz") + ending) for name, ending in ENDINGS.items()}


def _is_whole(file: Path) -> bool:
    try:
        np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError):
        return False
    return True
