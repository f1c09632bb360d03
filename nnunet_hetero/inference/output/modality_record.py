"""``modalities.json`` beside the predictions: which modalities each case was segmented from."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.cases.oriented_reader import OrientationRecord, orientation_in_words, orientation_record
from nnunet_hetero.cases.preprocess import PreparedCase
from nnunet_hetero.io.documents import Document
from nnunet_hetero.modalities import Modalities

FILE_NAME = "modalities.json"


class _Entry(TypedDict):
    used: list[str]
    absent: dict[str, str]
    orientation: NotRequired[OrientationRecord]


RECORD = Document(dict[str, _Entry], "the record of what each case was segmented from", "Predict the cases again.")
"""It only helps to continue: a damaged one is put aside."""


def record(prepared: PreparedCase, modalities: Modalities) -> dict:
    """The entry of one case.

    Returns:
        ``{"used": ["T1", "FLAIR"], "absent": {"T1c": "no file", "T2": "switched off"}}``. The reason is ``no file``,
        ``empty image`` (all zero), ``constant image`` or ``switched off`` (``--missing``, ``--available``). Beside it
        ``orientation`` for images that have a place in space, see `OrientationRecord`.
    """
    orientation = orientation_record(prepared.properties)
    return {
        "used": [modalities.names[channel] for channel in prepared.used],
        "absent": {modalities.names[channel]: prepared.absent[channel] for channel in sorted(prepared.absent)},
        **({} if orientation is None else {"orientation": orientation}),
    }


def of_orientation(entry: dict) -> dict:
    """The part of an entry that ``run.json`` has too."""
    return {key: value for key, value in entry.items() if key == "orientation"}


def modalities_in_words(case: str, entry: dict) -> str:
    """One line for the user, e.g. ``BraTS_001: T1+T2+FLAIR (absent: T1c; LPI turned to RAS)``."""
    absent = f"absent: {', '.join(entry['absent'])}" if entry["absent"] else ""
    notes = "; ".join(filter(None, (absent, orientation_in_words(entry.get("orientation")))))
    return f"{case}: {'+'.join(entry['used'])}{f' ({notes})' if notes else ''}"


def write_records(folder: str | os.PathLike, of_cases: Mapping[str, dict]) -> None:
    """Put the entries of cases into the folder's ``modalities.json``, beside those of earlier or parallel runs.

    With ``-num_parts`` several processes write to one folder.
    """
    RECORD.update(Path(folder) / FILE_NAME, lambda entries: dict(sorted({**entries, **of_cases}.items())))


def read_record(folder: str | os.PathLike, case: str) -> dict | None:
    """The entry of one case, see `record`, for who only looks; None if there is none.

    Raises:
        DataError: If the file is not what it must be. It stays as it is.
    """
    return (RECORD.read_if_there(Path(folder) / FILE_NAME) or {}).get(case)
