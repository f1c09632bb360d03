"""Raw datasets for splits: the files of their cases are there, and are not read where dataset.json names the gaps."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

DATASET = "Dataset501_Gaps"
CHANNELS = ("T1", "T1c", "T2", "FLAIR")


@pytest.fixture
def raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty raw dataset, with nnU-Net's variables set."""
    for name in ("raw", "preprocessed", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path / name))
    return tmp_path / "raw" / DATASET


@pytest.fixture
def preprocessed(tmp_path: Path) -> Path:
    """Where the splits go; not there yet."""
    return tmp_path / "preprocessed" / DATASET


@pytest.fixture
def write_files(raw: Path) -> Callable[..., None]:
    """Function that writes the files of one case to ``imagesTr`` or ``imagesTs``; what they hold is its name."""

    def write(case: str, subset: str = "Tr") -> None:
        names = [f"images{subset}/{case}_{channel:04d}.nii.gz" for channel in range(len(CHANNELS))]
        for name in [*names, f"labels{subset}/{case}.nii.gz"]:
            (raw / name).parent.mkdir(parents=True, exist_ok=True)
            (raw / name).write_text(case)

    return write


@pytest.fixture
def write_dataset(raw: Path, write_files: Callable[..., None]) -> Callable[..., Path]:
    """Function that writes ``imagesTr``, ``labelsTr``, ``dataset.json`` and, if there are rows, ``cases.csv``."""

    def write(
        cases: Iterable[str],
        gaps: dict[str, list[str]] | None = None,
        rows: Iterable[Iterable[str]] = (),
    ) -> Path:
        cases, rows = list(cases), list(rows)
        for case in cases:
            write_files(case)
        content = {
            "channel_names": {str(number): name for number, name in enumerate(CHANNELS)},
            "labels": {"background": 0, "tumor": 1},
            "numTraining": len(cases),
            "file_ending": ".nii.gz",
            "missing_modalities": gaps or {},
        }
        (raw / "dataset.json").write_text(json.dumps(content))
        if rows:
            with open(raw / "cases.csv", "w", newline="") as stream:
                csv.writer(stream).writerows(rows)
        return raw

    return write
