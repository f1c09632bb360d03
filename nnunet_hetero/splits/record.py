"""The files of a split: nnU-Net's splits_final.json, and hetero_splits.json with the test cases."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field
from typing_extensions import TypedDict

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.io.atomic_files import replace_json, replace_text
from nnunet_hetero.io.documents import Document
from nnunet_hetero.nnunet.json_files import SPLITS as FOLDS

from .schemes import Fold

SPLITS, RECORD = "splits_final.json", "hetero_splits.json"


class _Record(TypedDict):
    test_is_moved: bool
    test: Annotated[list[list[str]], Field(min_length=1)]


HETERO_SPLITS = Document(
    _Record, "the test cases of each fold, as 'nnunet_hetero splits' writes them", "Put it back, or split again."
)


def refuse_existing(preprocessed: Path) -> None:
    """Raises SettingsError if the dataset has splits already."""
    if (preprocessed / SPLITS).is_file():
        raise SettingsError(
            f"{preprocessed / SPLITS} is there already; models may have been trained with it. Replace it with "
            "--overwrite, or move it away."
        )


def write_splits(preprocessed: Path, folds: Sequence[Fold], test_is_moved: bool, origin: dict[str, Any]) -> None:
    """Write both files, nnU-Net's last.

    Args:
        preprocessed: ``nnUNet_preprocessed/DATASET``; made if it is not there.
        folds: The folds.
        test_is_moved: Whether the test cases are in ``imagesTs`` and ``labelsTs``, out of nnU-Net's sight.
        origin: How the folds came about, JSON types only.
    """
    preprocessed.mkdir(parents=True, exist_ok=True)
    record = {**origin, "test_is_moved": test_is_moved, "test": [fold.test for fold in folds]}
    replace_json(preprocessed / RECORD, record)
    content = [{"train": fold.train, "val": fold.val} for fold in folds]
    replace_text(preprocessed / SPLITS, json.dumps(content, indent=4) + "\n")


def held_out_names(preprocessed: Path, fold: int | str) -> list[str]:
    """Names of the test cases of a fold, none of which it may have seen.

    Args:
        preprocessed: ``nnUNet_preprocessed/DATASET``.
        fold: Number of the fold; ``all`` can be tested only on cases that were moved out of its sight.

    Raises:
        SettingsError: If there is no such fold, or it has seen its test cases.
        DataError: If the dataset has no test cases, or its splits were changed since.
    """
    file = preprocessed / RECORD
    if not file.is_file():
        raise DataError(f"{file} is not there, so no test cases are known. 'nnunet_hetero splits' writes it.")
    record = HETERO_SPLITS.read(file)
    if fold == "all":
        if not record["test_is_moved"]:
            raise SettingsError("Fold 'all' trained on every case in imagesTr, the test cases of the other folds too.")
        return record["test"][0]
    if not str(fold).isdigit() or int(fold) >= len(record["test"]):
        raise SettingsError(f"There is no fold {fold}; {file} has the folds 0 to {len(record['test']) - 1}.")
    cases = record["test"][int(fold)]
    if not cases:
        raise DataError(
            f"Fold {fold} has no test cases, see {file}. 'nnunet_hetero splits --test 0.2' would make some."
        )
    splits = FOLDS.read(preprocessed / SPLITS)
    if int(fold) >= len(splits):
        raise DataError(f"{preprocessed / SPLITS} has {len(splits)} folds, but {file} has fold {fold}. Split again.")
    seen = sorted(set(cases) & {*splits[int(fold)]["train"], *splits[int(fold)]["val"]})
    if seen:
        raise DataError(
            f"{preprocessed / SPLITS} was changed: {len(seen)} test case(s) of fold {fold}, e.g. '{seen[0]}', are "
            f"among its training or validation cases. Split again, or mend {file}."
        )
    return cases
