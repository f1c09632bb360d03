"""nnU-Net's raw data set: its dataset.json, and the names that converters, fill-gaps and splits share."""

from __future__ import annotations

from pathlib import Path

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
