"""What each converted case was made from: a second run redoes the cases for which that has changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nnunet_hetero.cases.raw_dataset import IGNORE
from nnunet_hetero.io.provenance import Provenance

from .cases import RawCase
from .dataset import MADE_FROM, DatasetSpec
from .images import voxel_file

RULES = 1
"""Raised when a later version makes another dataset of the same raw data."""


@dataclass(frozen=True)
class MadeFrom:
    """The record of one converted case.

    Args:
        provenance: Its raw files, and what else its files depend on.
        sizes: File, relative to the dataset's folder → bytes.
        absent: Channels that are absent.
        notes: What was doubtful in the raw files, in words.
        labels: The values of its label map, in the dataset; None if an earlier version wrote the record.
    """

    provenance: Provenance
    sizes: dict[str, int]
    absent: tuple[int, ...]
    notes: tuple[str, ...] = ()
    labels: tuple[int, ...] | None = None

    def encoded(self) -> bytes:
        """The content of its file."""
        content = {
            **self.provenance.to_json(),
            "files": self.sizes,
            "absent": list(self.absent),
            "notes": list(self.notes),
            "labels": None if self.labels is None else list(self.labels),
        }
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def record_file(folder: Path, case: str) -> Path:
    """Where the record of a case lies in a dataset's folder."""
    return folder / MADE_FROM / f"{case}.json"


def read_record(folder: Path, case: str) -> MadeFrom | None:
    """The record of a case; None if there is none, or a damaged one: the case is to be converted again."""
    try:
        content = json.loads(record_file(folder, case).read_text(encoding="utf-8"))
        provenance = Provenance.from_json({key: content[key] for key in ("sources", "settings")})
        if provenance is None or not isinstance(content["files"], dict):
            return None
        labels = content.get("labels")
        labels = None if labels is None else tuple(map(int, labels))
        return MadeFrom(provenance, content["files"], tuple(content["absent"]), tuple(content["notes"]), labels)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def made_from(case: RawCase, spec: DatasetSpec, test: bool, turned_to: str | None = None) -> Provenance:
    """What a case would be made from now; to be asked before its files are read.

    Args:
        case: The raw case.
        spec: The dataset.
        test: Whether it becomes a test case.
        turned_to: The orientation that its files are brought to; None if they have it.
    """
    sources: dict[str, Path | None] = dict(zip(spec.channel_names, case.images, strict=True))
    sources["segmentation"] = case.label
    voxels = {f"voxels of {role}": voxel_file(file) for role, file in sources.items() if file is not None}
    settings: Mapping[str, Any] = {
        "rules": RULES,
        "channels": spec.channel_names,
        "labels": spec.scheme.values,
        "volumes": case.volumes,
        "test": test,
        **({"ignored": "within the images"} if IGNORE in spec.scheme.labels else {}),
        **({} if turned_to is None else {"turned to": turned_to}),
    }
    return Provenance.of({**sources, **voxels}, settings)


def change_since(record: MadeFrom | None, now: Provenance, folder: Path, files: Sequence[Path]) -> str | None:
    """Why a case must be converted again, in words; None if it stands as it was made.

    Args:
        record: Of the earlier run, if any.
        now: See `made_from`.
        folder: The dataset's.
        files: Those that the case must have.
    """
    reason = now.difference(record.provenance if record else None)
    if record is None or reason:
        return reason
    for file in files:
        name = file.relative_to(folder).as_posix()
        if not file.is_file():
            return f"{name} is not there any more"
        if file.stat().st_size != record.sizes.get(name):
            return f"{name} is not what was written"
    return None
