"""nnU-Net's raw data set: its dataset.json, and the names that converters, fill-gaps and splits share."""

from __future__ import annotations

import json
from pathlib import Path

from nnunet_hetero.errors import DataError

DATASET_JSON = "dataset.json"

CASE_TABLE = "cases.csv"
"""Patient, visit and source of each case, written by the converters."""

MOVED_TEST_CASES = "moved_test_cases.json"
"""Journal of ``nnunet_hetero splits``, which moves cases to imagesTs."""

ABSENT = "absent modality"
"""The header's description of an all-zero volume that stands for an absent modality."""

RARE = 5
"""A modality that fewer training cases have is pointed out: nnU-Net makes five folds, and some fold would train or
validate without it."""


def read_dataset_json(folder: Path) -> dict:
    """Content of a folder's dataset.json, with the entries that are needed.

    Raises:
        DataError: If it is not there, damaged, or lacks one.
    """
    file = folder / DATASET_JSON
    if not file.is_file():
        raise DataError(f"{file} is not there. It must name the channels and the file ending, as nnU-Net wants it.")
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(f"{file} is not valid JSON ({error}).") from error
    if not isinstance(content, dict) or "file_ending" not in content:
        raise DataError(f"{file} has no 'file_ending', which nnU-Net needs.")
    return content
