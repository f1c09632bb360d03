"""nnU-Net's raw data set: its dataset.json, and the names that converters, fill-gaps and splits share."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypedDict

from nnunet_hetero.nnunet.json_files import CHANNELS_JSON

DATASET_JSON = "dataset.json"

CASE_TABLE = "cases.csv"
"""Patient, visit and source of each case, written by the converters."""

MOVED_TEST_CASES = "moved_test_cases.json"
"""Journal of ``nnunet_hetero splits``, which moves cases to imagesTs."""

ABSENT = "absent modality"
"""The header's description of an all-zero volume that stands for an absent modality."""

IGNORE = "ignore"
"""nnU-Net's name of the label whose voxels say nothing, in dataset.json."""

UNLABELLED = "unlabelled_cases"
"""Entry of dataset.json: the training cases without a segmentation, whose label map is the ignore label."""

RARE = 5
"""A modality that fewer training cases have is pointed out: nnU-Net makes five folds, and some fold would train or
validate without it."""


def read_dataset_json(folder: Path) -> dict:
    """Content of a folder's dataset.json, with the channels and the file ending.

    Raises:
        DataError: If it is not there, damaged, or lacks one.
    """
    return CHANNELS_JSON.read(folder / DATASET_JSON)


class CaseFiles(TypedDict):
    """Paths of a training case: its images, in channel order, and its label map."""

    images: list[str]
    label: str


def training_files(folder: str | os.PathLike, dataset_json: Mapping[str, Any]) -> dict[str, CaseFiles]:
    """Files of the training cases, those that ``get_filenames_of_train_images_and_targets`` of nnU-Net finds.

    That one starts twelve copies of this process to compare names, and a signal may leave them behind.

    Args:
        folder: ``nnUNet_raw/DATASET``.
        dataset_json: Of it.

    Returns:
        By case, sorted, or in the order of dataset.json if that lists the files.

    Raises:
        OSError: If there is no ``imagesTr``.
    """
    if "dataset" in dataset_json:
        listed: dict[str, CaseFiles] = {}
        for case, entry in dataset_json["dataset"].items():
            of_case = [_whole_path(folder, file) for file in entry["images"]]
            listed[case] = {"images": of_case, "label": _whole_path(folder, entry["label"])}
        return listed
    images, ending = os.path.join(folder, "imagesTr"), dataset_json["file_ending"]
    with os.scandir(images) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file() and entry.name.endswith(ending))
    parts = [re.fullmatch(r"(.*)(.{5})", name.removesuffix(ending), re.DOTALL) for name in names]
    found: dict[str, CaseFiles] = {}
    for case in sorted({part[1] for part in parts if part}):
        found[case] = {"images": [], "label": os.path.join(folder, "labelsTr", case + ending)}
    for name, part in zip(names, parts, strict=True):
        if part and re.fullmatch(r"_\d{4}", part[2]):
            found[part[1]]["images"].append(os.path.join(images, name))
    return found


def _whole_path(folder: str | os.PathLike, file: str) -> str:
    file = os.path.expandvars(file)
    return file if os.path.isabs(file) else os.path.abspath(os.path.join(folder, file))
