"""``modalities.json`` beside the predictions: which modalities each case was segmented from."""

from __future__ import annotations

import os
from pathlib import Path

from typing_extensions import TypedDict

from nnunet_hetero.cases.preprocess import PreparedCase
from nnunet_hetero.io.documents import Document
from nnunet_hetero.modalities import Modalities

FILE_NAME = "modalities.json"


class _Entry(TypedDict):
    used: list[str]
    absent: dict[str, str]


RECORD = Document(dict[str, _Entry], "the record of what each case was segmented from", "Predict the cases again.")
"""It only helps to continue: a damaged one is put aside."""


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


def modalities_in_words(case: str, entry: dict) -> str:
    """One line for the user, e.g. ``BraTS_001: T1+T2+FLAIR (absent: T1c)``."""
    absent = f" (absent: {', '.join(entry['absent'])})" if entry["absent"] else ""
    return f"{case}: {'+'.join(entry['used'])}{absent}"


def write_record(folder: str | os.PathLike, case: str, entry: dict) -> None:
    """Put the entry of one case into the folder's ``modalities.json``, beside those of earlier or parallel runs.

    With ``-num_parts`` several processes write to one folder.
    """
    RECORD.update(Path(folder) / FILE_NAME, lambda entries: dict(sorted({**entries, case: entry}.items())))


def read_record(folder: str | os.PathLike, case: str) -> dict | None:
    """The entry of one case, see `record`, for who only looks; None if there is none.

    Raises:
        DataError: If the file is not what it must be. It stays as it is.
    """
    return (RECORD.read_if_there(Path(folder) / FILE_NAME) or {}).get(case)
