"""The nnU-Net dataset that a converter makes: its folder in nnUNet_raw and its dataset.json."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from nnunet_hetero.cases.raw_dataset import CASE_TABLE, DATASET_JSON, IGNORE, MOVED_TEST_CASES, UNLABELLED
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.atomic_files import clear_drafts, is_draft, is_of_turns
from nnunet_hetero.io.documents import Document
from nnunet_hetero.nnunet.folders import require_variables

from .images import write_atomically
from .summary import SUMMARY_FILE

FILE_ENDING = ".nii.gz"
SUBFOLDERS = ("imagesTr", "labelsTr", "imagesTs", "labelsTs")
RAW_VARIABLE = "nnUNet_raw"
MADE_FROM = "made_from"  # folder with a record of each case, see `made_from`
UNFINISHED = "unfinished_dataset.json"  # what dataset.json will be, while a conversion is at work


@dataclass(frozen=True)
class LabelScheme:
    """What the labels of a dataset are, and which values they have in the raw segmentations.

    Args:
        labels: The entry ``labels`` of dataset.json; a list of label values makes a region.
        values: Label value in the raw segmentation → label value in the dataset; others are refused.
        regions_class_order: The label value that each region writes, in the order of `labels`; None without regions.
        hint: What to tell when another label value is found.
    """

    labels: dict[str, int | list[int]]
    values: dict[int, int]
    regions_class_order: tuple[int, ...] | None = None
    hint: str = ""


@dataclass(frozen=True)
class DatasetSpec:
    """The nnU-Net dataset to make.

    Args:
        channel_names: Modalities in channel order.
        scheme: Its labels.
        description: What the raw data is, such as ``BraTS 2018``.
    """

    channel_names: tuple[str, ...]
    scheme: LabelScheme
    description: str


def unseen_labels(scheme: LabelScheme, cases: Sequence[Collection[int] | None]) -> list[str]:
    """Labels and regions of which no case has a voxel, in the order of dataset.json.

    Args:
        scheme: The dataset's labels.
        cases: The values of each training case's label map; of None nothing is known.
    """
    if None in cases or not cases:
        return []
    found = set().union(*(values for values in cases if values is not None))
    if found <= {scheme.labels.get(IGNORE)}:  # none has a segmentation
        return []
    return [
        name
        for name, values in scheme.labels.items()
        if name != IGNORE and values != 0 and not found.intersection(values if isinstance(values, list) else [values])
    ]


def dataset_folder(dataset_id: int, name: str, dry_run: bool = False) -> Path:
    """Find the place of a dataset in ``nnUNet_raw``, and check that its number is free.

    Args:
        dataset_id: 1 to 999.
        name: What stands after ``DatasetNNN_``, as nnU-Net writes it: NNN is the dataset's number in three digits.
        dry_run: Whether it is all the same if nnUNet_raw is not set.

    Returns:
        ``$nnUNet_raw/DatasetNNN_name``, which may or may not exist.

    Raises:
        SettingsError: If nnUNet_raw is not set, the number or the name is not valid, or another dataset has the number.
    """
    if not 1 <= dataset_id <= 999:
        raise SettingsError(f"The dataset ID is {dataset_id}; nnU-Net needs a number from 1 to 999.")
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", name):
        raise SettingsError(f"The dataset name '{name}' is not valid; use letters, digits, '_', '-' and '.' only.")
    root = os.environ.get(RAW_VARIABLE)
    if not root and not dry_run:
        raise SettingsError(
            "The environment variable nnUNet_raw is not set; it names the folder of nnU-Net's raw datasets. "
            "Set it, for example: export nnUNet_raw=/data/nnUNet_raw"
        )
    if root:
        require_variables(RAW_VARIABLE)
    folder = Path(root or f"${RAW_VARIABLE}") / f"Dataset{dataset_id:03d}_{name}"
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


def dataset_json(
    folder: Path,
    spec: DatasetSpec,
    training_cases: int = 0,
    missing_modalities: dict[str, list[str]] | None = None,
    unlabelled: Sequence[str] = (),
) -> dict[str, Any]:
    """Make the content of nnU-Net's dataset.json, with entries of our own, which nnU-Net ignores.

    Ours are ``missing_modalities``, ``unlabelled_cases``, ``label_mapping`` (raw label value → label value) and
    ``converted_by``.
    """
    content: dict[str, Any] = {
        "channel_names": {str(index): name for index, name in enumerate(spec.channel_names)},
        "labels": spec.scheme.labels,
        "numTraining": training_cases,
        "file_ending": FILE_ENDING,
        "name": folder.name,
        "description": f"{spec.description}, converted from its raw layout",
        "converted_by": "nnunet_hetero",
        "label_mapping": {str(raw): value for raw, value in spec.scheme.values.items()},
        "missing_modalities": missing_modalities or {},
        **({UNLABELLED: list(unlabelled)} if unlabelled else {}),
    }
    if spec.scheme.regions_class_order is not None:
        content["regions_class_order"] = list(spec.scheme.regions_class_order)
    return content


def check_folder(folder: Path, spec: DatasetSpec, cases: Collection[str]) -> None:
    """Check that the dataset's folder is new or holds an earlier conversion, finished or not, of these cases.

    Raises:
        DataError: If it holds anything else.
    """
    advice = "Choose another -d or --name, or delete the folder."
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DataError(f"{folder} is a file; the dataset needs a folder. {advice}")
    if (folder / MOVED_TEST_CASES).is_file():
        raise DataError(
            f"'nnunet_hetero splits' has moved test cases of {folder} to imagesTs; a conversion would put them back "
            "among the training cases. Bring them back with 'nnunet_hetero splits --undo', convert, then split again."
        )
    file = next((folder / name for name in (DATASET_JSON, UNFINISHED) if (folder / name).is_file()), None)
    if file is not None:
        _require_same_dataset(file, dataset_json(folder, spec), advice)
        foreign = []
    else:
        foreign = [path.name for path in folder.iterdir() if not _is_ours(path.name)]
    for path in _converted_files(folder):
        name = path.name.removesuffix(FILE_ENDING)
        name = name if path.parent.name.startswith("labels") else re.sub(r"_\d{4}$", "", name)
        if name not in cases and not is_draft(path.name):
            foreign.append(f"{path.parent.name}/{path.name}")
    if foreign:
        foreign.sort()
        raise DataError(
            f"{folder} already holds other content, which is not in this raw folder: {', '.join(foreign[:3])}"
            f"{f' and {len(foreign) - 3} more' if len(foreign) > 3 else ''}. {advice}"
        )


def _require_same_dataset(file: Path, expected: dict[str, Any], advice: str) -> None:
    found = Document(dict[str, Any], "the dataset.json of an earlier conversion", advice).read(file)
    for content in (found, expected):
        # Cases without a segmentation may come later; no other label changes with them.
        if isinstance(content.get("labels"), dict):
            content["labels"] = {name: value for name, value in content["labels"].items() if name != IGNORE}
    for key, value in expected.items():
        if key not in ("numTraining", "missing_modalities", "description") and found.get(key) != value:
            raise DataError(
                f"{file.parent} holds another dataset: '{key}' in its {file.name} is {found.get(key)}, "
                f"this conversion has {value}. {advice}"
            )


def _is_ours(name: str) -> bool:
    return name in (*SUBFOLDERS, MADE_FROM, CASE_TABLE, SUMMARY_FILE) or is_draft(name) or is_of_turns(name)


def _converted_files(folder: Path) -> list[Path]:
    subfolders = (folder / name for name in SUBFOLDERS)
    return list(chain.from_iterable(path.iterdir() for path in subfolders if path.is_dir()))


def begin(folder: Path, spec: DatasetSpec, subfolders: Collection[str]) -> None:
    """Make the folder one that nnU-Net refuses until `finish`: without dataset.json it plans and trains nothing."""
    for name in (*subfolders, MADE_FROM):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for name in ("", *SUBFOLDERS, MADE_FROM):
        clear_drafts(folder / name)
    write_atomically(folder / UNFINISHED, _as_json(dataset_json(folder, spec)))
    (folder / DATASET_JSON).unlink(missing_ok=True)


def finish(folder: Path, content: dict[str, Any] | None) -> Path | None:
    """Write dataset.json, which makes the dataset usable; returns the file. None writes none: all are test cases."""
    if content is not None:
        write_atomically(folder / DATASET_JSON, _as_json(content))
    (folder / UNFINISHED).unlink(missing_ok=True)
    return folder / DATASET_JSON if content is not None else None


def _as_json(content: dict[str, Any]) -> bytes:
    return (json.dumps(content, indent=4) + "\n").encode()
