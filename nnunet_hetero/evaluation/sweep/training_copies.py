"""Labelled cases that are copies of cases that a model has trained on, whatever they are called."""

from __future__ import annotations

import filecmp
import hashlib
import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from tqdm import tqdm

from nnunet_hetero.cases.geometry import read_geometry
from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.cases.raw_dataset import read_dataset_json, training_files
from nnunet_hetero.errors import HeteroError
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase, split_of
from nnunet_hetero.evaluation.sweep.request import Fold

RAW = "nnUNet_raw"
"""nnU-Net's variable."""

_STEP = 4
"""Every so manieth voxel along each axis is compared: images that agree there are no two scans."""


def copies_of_training(
    entries: Iterable[LabelledCase], dataset: str, folds: Sequence[Fold], progress: bool = False
) -> dict[str, str]:
    """Cases whose images are all those of one case that a fold has trained on.

    All of them: the zero volumes that stand for absent modalities are the same in many cases.

    Args:
        entries: The labelled cases.
        dataset: Name of the data set. Where it is not in ``nnUNet_raw``, or its splits are gone, no copy is known.
        folds: Those that predict the cases.
        progress: Whether to show a progress bar, if it takes long.

    Returns:
        By case, the training case.
    """
    trained, same = _trained_files(dataset, folds), _SameImages()
    cases = [entry.case for entry in entries if any(entry.case.files) and not entry.case.problem]
    found: dict[str, str] = {}
    for name, files in tqdm(trained.items(), "Looking for copies of training cases", delay=2, disable=not progress):
        for case in cases:
            if case.name not in found and same.all_of(case.files, files):
                found[case.name] = name
    return found


class _SameImages:
    """Compares images: byte for byte, or by voxels, as one may be saved anew; each file is read once, if at all."""

    def __init__(self) -> None:
        self._grids: dict[str, tuple | None] = {}
        self._voxels: dict[str, bytes | None] = {}

    def all_of(self, own: Sequence[str | None], files: Sequence[str]) -> bool:
        """Whether each image of a case, in channel order, is the one in its place in another list."""
        return len(own) <= len(files) and all(
            file is None or self._same(file, other) for file, other in zip(own, files, strict=False)
        )

    def _same(self, one: str, other: str) -> bool:
        if os.path.getsize(one) == os.path.getsize(other) and filecmp.cmp(one, other, shallow=False):
            return True
        grid = self._grid(one)
        return grid is not None and grid == self._grid(other) and self._digest(one) == self._digest(other) is not None

    def _grid(self, file: str) -> tuple | None:
        """Numbers and edges of its voxels, in no order of axes; None of a file that cannot be read."""
        if file not in self._grids:
            try:
                grid = read_geometry(file)
                self._grids[file] = tuple(sorted(zip(grid.shape, np.round(grid.spacing, 3), strict=True)))
            except HeteroError:
                self._grids[file] = None
        return self._grids[file]

    def _digest(self, file: str) -> bytes | None:
        """Of its voxels, whatever their type and the orientation in which they are stored."""
        if file not in self._voxels:
            try:
                image = sitk.ReadImage(file)
                turned = reoriented(image, "RAS") if image.GetDimension() == 3 else image
                array = sitk.GetArrayViewFromImage(turned)[(slice(None, None, _STEP),) * image.GetDimension()]
                self._voxels[file] = hashlib.sha256(array.astype(np.float32).tobytes()).digest()
            except (RuntimeError, HeteroError):
                self._voxels[file] = None
        return self._voxels[file]


def _trained_files(dataset: str, folds: Sequence[Fold]) -> dict[str, list[str]]:
    """By case that one of the folds has trained on, its images in channel order."""
    try:
        raw = Path(os.environ[RAW], dataset)
        every = training_files(raw, read_dataset_json(raw))
        names = set(every)
        if "all" not in folds:
            names = set(chain.from_iterable(split_of(dataset, fold)["train"] for fold in folds))
    except (HeteroError, OSError, KeyError):
        return {}
    files = {name: every[name]["images"] for name in sorted(names & set(every))}
    return {name: images for name, images in files.items() if all(map(os.path.isfile, images))}
