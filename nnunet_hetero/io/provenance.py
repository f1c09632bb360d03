"""What a result was made from: which files, of which size and date, by which settings.

A result is kept only while its record says what a new one would say. That a file exists, or is younger than another,
tells nothing: files are put back with their old dates, and settings have none.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nnunet_hetero.io.atomic_files import replace_json

Stamp = dict[str, Any]
"""``{"path": ..., "size": bytes, "mtime_ns": ...}``; size and time are None for a file that is not there."""


@dataclass(frozen=True)
class Provenance:
    """The record of one result, made by `Provenance.of`; two records are equal if nothing that matters differs.

    Args:
        sources: Role, such as ``T1`` or ``segmentation`` → the file that had it.
        settings: What else the result depends on, as JSON gives it back.
    """

    sources: dict[str, Stamp]
    settings: dict[str, Any]

    @classmethod
    def of(cls, sources: Mapping[str, str | os.PathLike | None], settings: Mapping[str, Any]) -> Provenance:
        """Look at the files as they are now; to be called before they are read, so that no later change is missed.

        Args:
            sources: Role → file; roles without a file (None) are left out.
            settings: JSON types only.

        Examples:
            >>> Provenance.of({"T1": None}, {"labels": (1, 2)}).to_json()
            {'sources': {}, 'settings': {'labels': [1, 2]}}
        """
        stamps = {role: stamp(file) for role, file in sources.items() if file is not None}
        return cls(stamps, json.loads(json.dumps(dict(settings))))

    @classmethod
    def from_json(cls, content: Any) -> Provenance | None:
        """What `to_json` gave; None for anything else, such as a record of another version or a damaged one."""
        if not isinstance(content, dict) or set(content) != {"sources", "settings"}:
            return None
        sources, settings = content["sources"], content["settings"]
        sound = isinstance(sources, dict) and isinstance(settings, dict)
        if not sound or not all(isinstance(entry, dict) and "path" in entry for entry in sources.values()):
            return None
        return cls(sources, settings)

    def to_json(self) -> dict[str, Any]:
        """For a JSON file, alone or as a part of one."""
        return asdict(self)

    def difference(self, earlier: Provenance | None) -> str | None:
        """Why a result with the record ``earlier`` is not the one that this record is of; None if it is.

        Args:
            earlier: None if there is no usable record.
        """
        if earlier is None:
            return "there is no record of what it was made from"
        for role in dict.fromkeys((*self.sources, *earlier.sources)):
            now, then = self.sources.get(role), earlier.sources.get(role)
            if now != then:
                return f"{role} {_change(now, then)}"
        for name in dict.fromkeys((*self.settings, *earlier.settings)):
            if self.settings.get(name) != earlier.settings.get(name):
                return f"{name} is {self.settings.get(name)}, it was {earlier.settings.get(name)}"
        return None


def stamp(file: str | os.PathLike) -> Stamp:
    """Path (links followed), size and modification time of a file; the latter None if it is not there."""
    path = os.path.realpath(file)
    try:
        status = os.stat(path)
    except OSError:
        return {"path": path, "size": None, "mtime_ns": None}
    return {"path": path, "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def read_provenance(file: str | os.PathLike) -> Provenance | None:
    """The record that `write_provenance` wrote; None if it is not there or damaged: the result is to be made anew."""
    try:
        return Provenance.from_json(json.loads(Path(file).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def write_provenance(file: str | os.PathLike, provenance: Provenance) -> None:
    """Write a record as a whole, with its folder. To be called when all files of the result are in place."""
    Path(file).parent.mkdir(parents=True, exist_ok=True)
    replace_json(file, provenance.to_json())


def _change(now: Stamp | None, then: Stamp | None) -> str:
    if now is None or then is None:
        return f"is new: {now['path']}" if now else f"is gone: {then['path'] if then else ''}"
    if now["path"] != then["path"]:
        return f"is {now['path']}, it was {then['path']}"
    return f"has changed: {now['path']}" if now["size"] is not None else f"is not there any more: {now['path']}"
