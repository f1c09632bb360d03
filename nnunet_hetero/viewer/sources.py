"""Which images a case was predicted from, and what happened to them since."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from nnunet_hetero.inference.earlier_run import MADE_FROM
from nnunet_hetero.inference.output.run_record import RUN_NAME, RUNS
from nnunet_hetero.inference.output_folder import ARGUMENTS_NAME, BESIDE
from nnunet_hetero.io.provenance import Provenance, stamp


def images_of(output: Path) -> Path | None:
    """The folder of images that a prediction was made from, as it says itself; None if it is not there any more.

    Raises:
        DataError: If what nnU-Net wrote of its arguments is not what it must be. It stays as it is.
    """
    arguments = BESIDE.read_if_there(output / ARGUMENTS_NAME) or {}
    source = arguments.get("list_of_lists_or_source_folder")
    return Path(source) if isinstance(source, str) and Path(source).is_dir() else None


def made_from(output: Path, case: str) -> Provenance | None:
    """The files that a case was predicted from, by modality; None if ``run.json`` does not say.

    Raises:
        DataError: If ``run.json`` is not what it must be. It stays as it is.
    """
    cases = (RUNS.read_if_there(output / RUN_NAME) or {}).get("cases", {})
    return Provenance.from_json(cases.get(case, {}).get(MADE_FROM))


def predicted_images(known: Provenance | None, beside: Mapping[str, Path]) -> dict[str, Path]:
    """The images of a case by modality: those that it was predicted from, and what else lies beside them.

    Args:
        known: See `made_from`.
        beside: What a folder has of the case that bears the name of the folder that was predicted. It is another one if
            its images are not those that are known: the name may be relative, or the folder may have been replaced.
    """
    if known is None:
        return dict(beside)
    recorded = {name: Path(entry["path"]) for name, entry in known.sources.items()}
    same = all(os.path.realpath(beside[name]) == str(recorded[name]) for name in recorded if name in beside)
    files = {**beside, **recorded} if same and recorded.keys() & beside.keys() else recorded
    return {name: file for name, file in files.items() if file.is_file()}


def changes(known: Provenance, what: str) -> list[str]:
    """What happened to the files that a result was made from, in words.

    Args:
        known: As they were then.
        what: The result, e.g. ``evaluation``.
    """
    found = []
    for name, before in known.sources.items():
        file, now = before["path"], stamp(before["path"])
        if now["size"] is None:
            found.append(f"{file} ({name}) is gone since the {what}.")
        elif now != before:
            found.append(f"{file} ({name}) has been written anew since the {what}; what it was then is not shown.")
    return found
