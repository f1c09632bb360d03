"""Labelled cases that are copies of cases that a model has trained on, whatever they are called."""

from __future__ import annotations

import filecmp
import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from nnunet_hetero.cases.raw_dataset import read_dataset_json, training_files
from nnunet_hetero.errors import HeteroError
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase, split_of
from nnunet_hetero.evaluation.sweep.request import Fold


def copies_of_training(
    entries: Iterable[LabelledCase], raw: str | os.PathLike, folds: Sequence[Fold]
) -> dict[str, str]:
    """Cases whose images are all those of one case that a fold has trained on, byte for byte.

    All of them: the zero volumes that stand for absent modalities are the same in many cases.

    Args:
        entries: The labelled cases.
        raw: Folder of the data set in ``nnUNet_raw``. Where it or its splits are gone, no copy is known.
        folds: Those that predict the cases.

    Returns:
        By case, the training case.
    """
    of_size: dict[int, list[tuple[str, list[str]]]] = {}
    for name, files in _trained_files(Path(raw), folds).items():
        for file in files:
            of_size.setdefault(os.path.getsize(file), []).append((name, files))
    found = {}
    for entry in entries:
        own = {channel: file for channel, file in enumerate(entry.case.files) if file and not entry.case.problem}
        if own:
            size = os.path.getsize(next(iter(own.values())))
            same = [name for name, files in of_size.get(size, ()) if _same(own, files)]
            if same:
                found[entry.case.name] = same[0]
    return found


def _same(own: dict[int, str], files: Sequence[str]) -> bool:
    return all(
        channel < len(files) and filecmp.cmp(file, files[channel], shallow=False) for channel, file in own.items()
    )


def _trained_files(raw: Path, folds: Sequence[Fold]) -> dict[str, list[str]]:
    """By case that one of the folds has trained on, its images in channel order."""
    try:
        every = training_files(raw, read_dataset_json(raw))
        names = set(every)
        if "all" not in folds:
            names = set(chain.from_iterable(split_of(raw.name, fold)["train"] for fold in folds))
    except (HeteroError, OSError):
        return {}
    files = {name: every[name]["images"] for name in sorted(names & set(every))}
    return {name: images for name, images in files.items() if all(map(os.path.isfile, images))}
