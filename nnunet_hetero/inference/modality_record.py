"""``modalities.json`` beside the predictions: which modalities each case was segmented from."""

from __future__ import annotations

import json
import os
from pathlib import Path

from filelock import FileLock

from nnunet_hetero.inference.preprocessing import PreparedCase
from nnunet_hetero.modalities import Modalities

FILE_NAME = "modalities.json"


def record(prepared: PreparedCase, modalities: Modalities) -> dict:
    """The entry of one case.

    Returns:
        ``{"used": ["T1", "FLAIR"], "absent": {"T1c": "no file", "T2": "switched off"}}``. The reason is ``no file``,
        ``empty image`` (all zero), ``constant image`` or ``switched off`` (``--missing``, ``--available``).
    """
    return {
        "used": [modalities.names[channel] for channel in prepared.used],
        "absent": {modalities.names[channel]: prepared.absent[channel] for channel in sorted(prepared.absent)},
    }


def describe(case: str, entry: dict) -> str:
    """One line for the user, e.g. ``BraTS_001: T1+T2+FLAIR (absent: T1c)``."""
    absent = f" (absent: {', '.join(entry['absent'])})" if entry["absent"] else ""
    return f"{case}: {'+'.join(entry['used'])}{absent}"


def write_record(folder: str | os.PathLike, case: str, entry: dict) -> None:
    """Put the entry of one case into the folder's ``modalities.json``, beside those of earlier or parallel runs.

    The file is replaced as a whole, so it is valid at any moment, and locked meanwhile: with ``-num_parts`` several
    processes write to one folder.
    """
    file = Path(folder) / FILE_NAME
    with FileLock(file.with_name(f".{FILE_NAME}.lock")):
        entries = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        entries[case] = entry
        draft = file.with_name(f".{FILE_NAME}.tmp")
        draft.write_text(
            json.dumps(dict(sorted(entries.items())), indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
        draft.replace(file)
