"""What a return leaves of each case, so that a run that was stopped continues where it was."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from typing_extensions import TypedDict

from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.io.documents import Document, made_of
from nnunet_hetero.io.provenance import Provenance

RECORD_NAME = "return.json"
"""In the case's folder; it gets there last."""


@dataclass(frozen=True)
class Volumes:
    """Volumes of a region on the prepared grid and on that of an image, millilitres."""

    to: str
    region: str
    before: float
    after: float


class _Volumes(TypedDict):
    to: str
    region: str
    before: float
    after: float


class _Record(TypedDict):
    files: list[str]
    volumes: list[_Volumes]
    made_from: dict[str, Any]


RECORD = Document(_Record, "the record of a case that nnunet_hetero return wrote", "Run nnunet_hetero return again.")


def write_record(folder: Path, volumes: Sequence[Volumes], made_from: Provenance) -> None:
    """Write the record of what a folder holds.

    Args:
        folder: With the case's files, and nothing else.
        volumes: On each image.
        made_from: What the files depend on.
    """
    files = sorted(file.name for file in folder.iterdir())
    rows = [asdict(one) for one in volumes]
    replace_json(folder / RECORD_NAME, {"files": files, "volumes": rows, "made_from": made_from.to_json()})


def volumes_of_before(folder: Path, made_from: Provenance) -> list[Volumes] | None:
    """The volumes of a case that an earlier run has brought back as a whole; None if it is to be done (again).

    Args:
        folder: The case's.
        made_from: What its files would be made from now.
    """
    record = RECORD.or_aside(folder / RECORD_NAME)
    if record is None or made_from.difference(Provenance.from_json(record["made_from"])) is not None:
        return None
    if not all((folder / name).is_file() for name in record["files"]):
        return None
    return [made_of(Volumes, one) for one in record["volumes"]]
