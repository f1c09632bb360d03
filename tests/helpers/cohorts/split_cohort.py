"""A cohort to split, and the command that splits it."""

from __future__ import annotations

import json
from pathlib import Path

from nnunetv2.utilities.utils import get_identifiers_from_splitted_dataset_folder

from nnunet_hetero.cli.main import main

CASES = [f"BraTS-GLI-{patient:05d}-{scan:03d}" for patient in range(10) for scan in range(1 + (patient == 0))]


ROWS = [["case", "patient", "site", "grade"], *([case, case[:-4], "AB"[int(case[-5]) % 2], ""] for case in CASES)]


GAPS = {CASES[3]: ["T2"], CASES[7]: ["T2", "T1"]}


def split(*arguments: str) -> int:
    return main(["splits", "-d", "501", *arguments])


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def written(preprocessed: Path) -> tuple[list[dict], dict]:
    files = ("splits_final.json", "hetero_splits.json")
    return tuple(json.loads((preprocessed / name).read_text()) for name in files)


def cases_in(raw: Path, folder: str) -> list[str]:
    return list(get_identifiers_from_splitted_dataset_folder(str(raw / folder), ".nii.gz"))
