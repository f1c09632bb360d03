"""The record of what ``fill-gaps`` wrote, beside the images: it makes a second run and the way back possible."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from pydantic import ConfigDict, with_config
from typing_extensions import NotRequired, TypedDict

from nnunet_hetero.io.atomic_files import replace_text
from nnunet_hetero.io.documents import Document

RECORD_NAME = "fill_gaps.json"


@with_config(ConfigDict(extra="forbid"))
class _Written(TypedDict):
    files: NotRequired[dict[str, dict[str, str]]]
    images_before: NotRequired[dict[str, list[str | None]]]
    listed_before: NotRequired[dict[str, list[str]] | None]


WRITTEN = Document(
    _Written,
    "the record of an earlier fill-gaps",
    "Without it nobody can tell which all-zero files were written; put it back.",
)


@dataclass(frozen=True)
class Record:
    """What was written, or is about to be.

    Args:
        files: Case → modality → its all-zero file, relative to the folder of the record.
        images_before: Case → its list of images in dataset.json before, where dataset.json lists files.
        listed_before: ``missing_modalities`` of dataset.json before; None if it had no such entry.
    """

    files: dict[str, dict[str, str]] = field(default_factory=dict)
    images_before: dict[str, list[str | None]] = field(default_factory=dict)
    listed_before: dict[str, list[str]] | None = None

    @classmethod
    def load(cls, folder: Path) -> Record | None:
        """The record of a folder; None if there is none.

        Raises:
            DataError: If it is damaged.
        """
        content = WRITTEN.read_if_there(folder / RECORD_NAME)
        return None if content is None else cls(**content)

    def save(self, folder: Path) -> None:
        """Write it as a whole; an empty one is removed."""
        if self.files:
            write_json(folder / RECORD_NAME, dataclasses.asdict(self))
        else:
            (folder / RECORD_NAME).unlink(missing_ok=True)

    @property
    def paths(self) -> set[str]:
        """All files, relative to the folder of the record."""
        return set(chain.from_iterable(files.values() for files in self.files.values()))

    def without(self, paths: Iterable[str]) -> Record:
        """The record without some files."""
        paths = set(paths)
        files = {}
        for case, entry in self.files.items():
            left = {modality: file for modality, file in entry.items() if file not in paths}
            if left:
                files[case] = left
        return dataclasses.replace(self, files=files)

    def with_files(self, case: str, files: dict[str, str]) -> Record:
        """The record with more files of a case."""
        return dataclasses.replace(self, files={**self.files, case: {**self.files.get(case, {}), **files}})


def write_json(file: Path, content: dict) -> None:
    """Write a JSON file as a whole, indented as nnU-Net does."""
    replace_text(file, json.dumps(content, indent=4, ensure_ascii=False) + "\n")
