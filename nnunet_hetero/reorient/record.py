"""The record of what ``reorient`` turned, beside the images: it makes the way back possible."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path

from typing_extensions import TypedDict

from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.io.documents import Document

RECORD_NAME = "reorient.json"


class Turned(TypedDict):
    """A file as it was.

    Attributes:
        orientation: Which it had.
        header: Of a NIfTI file, in base 64; empty for other formats.
    """

    orientation: str
    header: str


RECORD = Document(
    dict[str, Turned],
    "the record of an earlier reorient",
    "Without it nobody can tell how the files were; put it back.",
)


def load_record(folder: Path) -> dict[str, Turned]:
    """By file, relative to the folder; empty without a record.

    Raises:
        DataError: If it is damaged.
    """
    return RECORD.read_if_there(folder / RECORD_NAME) or {}


def save_record(folder: Path, record: Mapping[str, Turned]) -> None:
    """Write it as a whole; an empty one is removed."""
    if record:
        replace_json(folder / RECORD_NAME, dict(sorted(record.items())))
    else:
        (folder / RECORD_NAME).unlink(missing_ok=True)


def as_it_was(orientation: str, header: bytes) -> Turned:
    """The entry of a file."""
    return {"orientation": orientation, "header": base64.b64encode(header).decode()}


def header_in(entry: Turned) -> bytes:
    """The header of a NIfTI file as it was; empty for other formats."""
    return base64.b64decode(entry["header"])
