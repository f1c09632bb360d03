"""The nnU-Net dataset that a converter makes: its folder in nnUNet_raw and its dataset.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_hetero.errors import DataError, SettingsError

FILE_ENDING = ".nii.gz"
SUBFOLDERS = ("imagesTr", "labelsTr", "imagesTs")
RAW_VARIABLE = "nnUNet_raw"


@dataclass(frozen=True)
class DatasetSpec:
    """The nnU-Net dataset to make.

    Args:
        folder: ``$nnUNet_raw/DatasetXXX_Name``.
        channel_names: Modalities in channel order.
        labels: The entry ``labels`` of dataset.json; a list of label values makes a region.
        regions_class_order: The label value that each region writes, in the order of `labels`; None without regions.
        label_values: Label value in the raw segmentation → label value in the dataset.
        label_hint: What to tell when another label value is found.
        description: One line on the origin of the data.
    """

    folder: Path
    channel_names: tuple[str, ...]
    labels: dict[str, int | list[int]]
    regions_class_order: tuple[int, ...] | None
    label_values: dict[int, int]
    label_hint: str = ""
    description: str = ""


def dataset_folder(dataset_id: int, name: str) -> Path:
    """Find the place of a dataset in ``nnUNet_raw``, and check that its number is free.

    Args:
        dataset_id: 1 to 999.
        name: What stands after ``DatasetXXX_``.

    Returns:
        ``$nnUNet_raw/DatasetXXX_name``, which may or may not exist.

    Raises:
        SettingsError: If nnUNet_raw is not set, the number or the name is not valid, or another dataset has the number.
    """
    if not 1 <= dataset_id <= 999:
        raise SettingsError(f"The dataset ID is {dataset_id}; nnU-Net needs a number from 1 to 999.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise SettingsError(f"The dataset name '{name}' is not valid; use letters, digits, '_', '-' and '.' only.")
    root = os.environ.get(RAW_VARIABLE)
    if not root:
        raise SettingsError(
            "The environment variable nnUNet_raw is not set; it names the folder of nnU-Net's raw datasets. "
            "Set it, for example: export nnUNet_raw=/data/nnUNet_raw"
        )
    folder = Path(root) / f"Dataset{dataset_id:03d}_{name}"
    # nnU-Net looks a number up in all three folders, and stops when it finds two names for it.
    for variable in (RAW_VARIABLE, "nnUNet_preprocessed", "nnUNet_results"):
        place = Path(os.environ[variable]) if os.environ.get(variable) else None
        others = place.glob(f"Dataset{dataset_id:03d}_*") if place is not None and place.is_dir() else ()
        for other in sorted(others):
            if other.name != folder.name:
                raise SettingsError(
                    f"Dataset ID {dataset_id} is taken: {variable} has {other.name}, asked for is {folder.name}. "
                    "nnU-Net cannot tell two datasets of one ID apart; choose another ID with -d."
                )
    return folder


def dataset_json(spec: DatasetSpec, training_cases: int, missing_modalities: dict[str, list[str]]) -> dict[str, Any]:
    """Make the content of nnU-Net's dataset.json, with our own entry ``missing_modalities`` (nnU-Net ignores it)."""
    content: dict[str, Any] = {
        "channel_names": {str(index): name for index, name in enumerate(spec.channel_names)},
        "labels": spec.labels,
        "numTraining": training_cases,
        "file_ending": FILE_ENDING,
        "name": spec.folder.name,
        "description": spec.description,
        "converted_by": "nnunet_hetero",
        "missing_modalities": missing_modalities,
    }
    if spec.regions_class_order is not None:
        content["regions_class_order"] = list(spec.regions_class_order)
    return content


def claim_folder(spec: DatasetSpec, cases: Collection[str]) -> None:
    """Check that the dataset's folder is new or holds an earlier conversion of these cases; remove its temporary files.

    Raises:
        DataError: If it holds anything else.
    """
    folder = spec.folder
    advice = "Choose another -d or --name, or delete the folder."
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; the dataset needs a folder. {advice}")
    file = folder / "dataset.json"
    if file.is_file():
        try:
            found = json.loads(file.read_text(encoding="utf-8"))
            found = found if isinstance(found, dict) else {}
        except ValueError as error:
            raise DataError(f"{file} is not valid JSON ({error}). {advice}") from error
        for key, value in dataset_json(spec, 0, {}).items():
            if key not in ("numTraining", "missing_modalities", "description") and found.get(key) != value:
                raise DataError(
                    f"{folder} holds another dataset: '{key}' in its dataset.json is {found.get(key)}, "
                    f"this conversion has {value}. {advice}"
                )
    foreign = [] if file.is_file() else [p.name for p in folder.iterdir() if p.name not in SUBFOLDERS]
    for subfolder in SUBFOLDERS:
        for path in (folder / subfolder).iterdir() if (folder / subfolder).is_dir() else ():
            if re.fullmatch(r"\..*\.tmp", path.name):
                path.unlink(missing_ok=True)
                continue
            name = path.name.removesuffix(FILE_ENDING)
            name = name if subfolder == "labelsTr" else re.sub(r"_\d{4}$", "", name)
            if name not in cases:
                foreign.append(f"{subfolder}/{path.name}")
    foreign.sort()
    if foreign:
        raise DataError(
            f"{folder} already holds other content, which is not in this raw folder: {', '.join(foreign[:3])}"
            f"{f' and {len(foreign) - 3} more' if len(foreign) > 3 else ''}. {advice}"
        )
