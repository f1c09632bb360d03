"""A data set whose cases lack files, and how its gaps are filled in tests."""

from __future__ import annotations

import json
from pathlib import Path

from helpers.tiny_model import tiny_dataset_json, write_case, write_json
from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.fill_gaps.fill import Gaps, fill_gaps

GAPS = {"a": (1,), "c": (0, 3)}
MISSING = {"a": ["T1c"], "c": ["T1", "FLAIR"]}
DIRECTION = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


def write_dataset(folder: Path, gaps=None, cases="abcdef") -> Path:
    """Six cases of four modalities, `gaps` left out."""
    gaps = GAPS if gaps is None else gaps
    for seed, case in enumerate(cases):
        present = [channel for channel in range(4) if channel not in gaps.get(case, ())]
        write_case(folder / "imagesTr", case, present, seed, labels=folder / "labelsTr")
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=len(cases)))
    return folder


def fill(folder: Path, **arguments) -> Gaps:
    """Fill the gaps of a data set."""
    return fill_gaps(CaseFolder.of_dataset(folder), progress=False, **arguments)


def snapshot(folder: Path) -> dict[str, bytes | dict]:
    """Content of all files, dataset.json as it is read."""
    found = {str(file.relative_to(folder)): file for file in folder.rglob("*") if file.is_file()}
    return {
        name: json.loads(file.read_text()) if file.name == "dataset.json" else file.read_bytes()
        for name, file in found.items()
    }


def files_of(folder: Path, case: str) -> list[Path]:
    """Of all four modalities, whether or not they are there."""
    return [folder / "imagesTr" / f"{case}_{channel:04d}.nii.gz" for channel in range(4)]
