"""Training cases without a segmentation: their label map is nnU-Net's ignore label throughout their images.

Outside of the images, where all of them are zero, it is background: what is ignored there, nnU-Net's preprocessing
takes for a part of the images, and normalises them with it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from nnunetv2.preprocessing.cropping.cropping import create_nonzero_mask
from tqdm import tqdm

from nnunet_hetero.cases.raw_dataset import IGNORE, UNLABELLED, training_files
from nnunet_hetero.nnunet.model_gate import require_plain_dataset_json

OUTSIDE = -1
"""What nnU-Net's preprocessing writes into a label map where all images are zero."""


def inside(images: Sequence[np.ndarray]) -> np.ndarray:
    """Where nnU-Net takes a case to be within its images: where one of them is not zero, and in holes within that.

    Args:
        images: Of the case, as read, all of one shape.
    """
    return create_nonzero_mask(np.stack([image != 0 for image in images]))


def says_nothing(label_map: np.ndarray, ignore: int) -> bool:
    """Whether a label map is the ignore label wherever it is within the images.

    Args:
        label_map: Of any shape; `OUTSIDE` of the images.
        ignore: The ignore label.
    """
    middle = label_map[..., label_map.shape[-1] // 2]
    for values in (middle, label_map):  # nearly every segmentation says something in its middle
        if not np.isin(values, (ignore, OUTSIDE)).all():
            return False
    return bool((label_map == ignore).any())


def unlabelled_cases(folder: Path, dataset_json: Mapping[str, Any], cases: Sequence[str]) -> Collection[str]:
    """Which training cases of a raw data set have no segmentation.

    They stand in dataset.json where a converter wrote it; else label maps are read, if there is an ignore label.

    Args:
        folder: ``nnUNet_raw/DATASET``.
        dataset_json: Its dataset.json.
        cases: Names of the cases in question.

    Raises:
        DataError: If a label map cannot be read.
    """
    ignore = dataset_json["labels"].get(IGNORE)
    if not isinstance(ignore, int):
        return ()
    listed = dataset_json.get(UNLABELLED)
    if isinstance(listed, list):
        return {case for case in cases if case in listed}
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json

    from nnunet_hetero.cases.preprocess import read_image

    require_plain_dataset_json(dict(dataset_json), "dataset.json")
    files = training_files(folder, dataset_json)
    found = set()
    for case in tqdm(cases, "Looking for cases without a segmentation", unit="case"):
        file = label_file(folder, dataset_json, case)
        if not file.is_file():
            continue
        reader = determine_reader_writer_from_dataset_json(dict(dataset_json), str(file), verbose=False)()
        values, _ = read_image(str(file), f"Case '{case}': {file}", reader.read_seg)
        if (values == ignore).any() and np.isin(values, (ignore, 0)).all():
            images = [
                read_image(path, f"Case '{case}': {path}", partial(_read_one, reader)) for path in files[case]["images"]
            ]
            values = np.where((values == 0) & ~inside([image for image, _ in images]), OUTSIDE, values)
        if says_nothing(values, ignore):
            found.add(case)
    return found


def _read_one(reader: Any, path: str) -> tuple[np.ndarray, dict]:
    return reader.read_images((path,))


def label_file(folder: Path, dataset_json: Mapping[str, Any], case: str) -> Path:
    """Where the label map of a training case is."""
    entry = dataset_json.get("dataset", {}).get(case)
    return folder / (entry["label"] if entry else f"labelsTr/{case}{dataset_json['file_ending']}")
