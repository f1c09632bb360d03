"""Finding cases in a folder laid out by BIDS (Gorgolewski et al., 2016): ``sub-*/[ses-*]/anat/*.nii.gz``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.tables import read_table

from .writing.cases import RawCase

CHANNELS = ("T1", "T1c", "T2", "FLAIR")
_SUFFIXES = {"T1w": "T1", "T2w": "T2", "FLAIR": "FLAIR"}
_NAME = re.compile(r"sub-[A-Za-z0-9]+(_[a-z]+-[A-Za-z0-9]+)*_(?P<suffix>[A-Za-z0-9]+)\.nii(\.gz)?")
_ENTITY = re.compile(r"(?:^|_)([a-z]+)-([A-Za-z0-9]+)")

Key = tuple[str, str]
"""Subject and session, as in ``sub-01`` and ``ses-02`` without the prefixes; the session may be empty."""


@dataclass(frozen=True)
class Choice:
    """What to take where several files are of one modality.

    Args:
        run: ``first``, ``last`` or a number; None refuses several runs.
        prefer: Entities such as ``acq-highres``: files that have them are taken, if any has.
    """

    run: str | None = None
    prefer: tuple[str, ...] = ()


@dataclass
class _Found:
    images: dict[str, list[Path]] = field(default_factory=dict)
    labels: list[Path] = field(default_factory=list)
    misplaced: list[Path] = field(default_factory=list)


@dataclass(frozen=True)
class BidsCohort:
    """What a BIDS folder holds.

    Args:
        cases: Its cases, sorted by name.
        ignored: Images in ``anat`` folders that are none of the modalities.
    """

    cases: list[RawCase]
    ignored: list[Path]


def find_bids_cases(
    raw: Path, labels: Path | None = None, pattern: str = "*_dseg.nii.gz", choice: Choice | None = None
) -> BidsCohort:
    """Search a BIDS folder, raw or of derivatives.

    Args:
        raw: The folder that has the ``sub-*``.
        labels: Folder that has the segmentations, at any depth; None finds none.
        pattern: Of their file names.
        choice: What to take of several files.

    Returns:
        A case per subject, or per session where there are any, called ``sub-01`` or ``sub-01_ses-02``.

    Raises:
        DataError: If there is no such folder, no ``sub-*`` with images, or no segmentation.
    """
    if not raw.is_dir():
        raise DataError(f"The BIDS folder {raw} does not exist or is not a folder.")
    found: dict[Key, _Found] = {}
    ignored = []
    for path in sorted([*raw.glob("sub-*/anat/*.nii*"), *raw.glob("sub-*/ses-*/anat/*.nii*")]):
        modality = _modality(path.name)
        if modality is None:
            ignored.append(path)
            continue
        _entry(found, path, raw, _key(path.name)).images.setdefault(modality, []).append(path)
    if not found:
        raise DataError(
            f"{raw} has no image such as sub-01/anat/sub-01_T1w.nii.gz or sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz."
        )
    if labels is not None:
        files = _add_labels(found, labels, pattern)
        ignored = [path for path in ignored if path not in files]
    people = _participants(raw.resolve())
    cases = [_case(key, entry, people.get(key[0], {}), choice or Choice()) for key, entry in sorted(found.items())]
    return BidsCohort(cases, ignored)


def entities(name: str) -> dict[str, str]:
    """Entities in a file name: ``sub-01_ce-gad_T1w.nii.gz`` → ``{"sub": "01", "ce": "gad"}``."""
    return dict(_ENTITY.findall(name))


def _modality(name: str) -> str | None:
    match = _NAME.fullmatch(name)
    if match is None or match["suffix"] not in _SUFFIXES:
        return None
    if "ce" in entities(name):  # contrast-enhancing agent
        return "T1c" if match["suffix"] == "T1w" else None
    return _SUFFIXES[match["suffix"]]


def _key(name: str) -> Key:
    found = entities(name)
    return found["sub"], found.get("ses", "")


def _entry(found: dict[Key, _Found], path: Path, root: Path, key: Key) -> _Found:
    """The case that a file is of; noted if its folders say something else."""
    entry = found.setdefault(key, _Found())
    folders = dict(_ENTITY.fullmatch(part).groups() for part in path.relative_to(root).parts if _ENTITY.fullmatch(part))
    if any(folders.get(what, value) != value for what, value in zip(("sub", "ses"), key, strict=True)):
        entry.misplaced.append(path)
    return entry


def _add_labels(found: dict[Key, _Found], labels: Path, pattern: str) -> list[Path]:
    """Give each case its segmentation; returns all of them."""
    if not labels.is_dir():
        raise DataError(f"The folder of segmentations {labels} does not exist or is not a folder.")
    files = sorted(path for path in labels.rglob(pattern) if not path.name.startswith("."))
    if not files:
        raise DataError(f"{labels} has no file named {pattern}. Say with --label-pattern how segmentations are named.")
    for path in files:
        if "sub" not in entities(path.name):
            raise DataError(f"{path} has no sub-LABEL in its name, so it is not known whose segmentation it is.")
        subject, session = _key(path.name)
        known = [key for key in found if key[0] == subject]
        # The only session need not be named.
        key = known[0] if not session and len(known) == 1 else (subject, session)
        _entry(found, path, labels, key).labels.append(path)
    return files


def _participants(raw: Path) -> dict[str, dict[str, str]]:
    # Derivatives lie in the folder of the raw data, which has the table.
    places = [raw, raw.parent.parent] if raw.parent.name == "derivatives" else [raw]
    file = next((place / "participants.tsv" for place in places if (place / "participants.tsv").is_file()), None)
    if file is None:
        return {}
    rows = [row for _, row in read_table(file, "participant_id", ("site", "grade")).rows]
    return {row["participant_id"].removeprefix("sub-"): row for row in rows}


def _case(key: Key, found: _Found, person: dict[str, str], choice: Choice) -> RawCase:
    subject, session = key
    images = {name: _chosen(files, choice) for name, files in found.images.items()}
    doubles = {**images, "segmentation": found.labels}
    problem = None
    if found.misplaced:
        problem = f"folder and file name are of different cases: {_list(found.misplaced)}. Rename or move the file."
    elif not images:
        problem = f"it has the segmentation {_list(found.labels)}, but no image in an anat folder."
    for name, files in doubles.items():
        if len(files) > 1:
            hint = "narrow --label-pattern" if name == "segmentation" else "choose with --run or --prefer"
            problem = problem or f"{len(files)} files claim to be its {name}: {_list(files)}. Keep one, or {hint}."
    return RawCase(
        name=f"sub-{subject}" + (f"_ses-{session}" if session else ""),
        images=tuple(images.get(name, [None])[0] for name in CHANNELS),
        label=found.labels[0] if found.labels else None,
        problem=problem,
        patient=f"sub-{subject}",
        **{what: value for what in ("site", "grade") if (value := person.get(what)) and value.lower() != "n/a"},
    )


def _chosen(files: Sequence[Path], choice: Choice) -> list[Path]:
    """The files that are left after the user's choice; several if it does not decide."""
    for entity in choice.prefer:
        name, _, value = entity.partition("-")
        files = [path for path in files if entities(path.name).get(name) == value] or files
    runs = [int(entities(path.name)["run"]) for path in files if entities(path.name).get("run", "").isdigit()]
    if choice.run is None or len(runs) < len(files) or len(files) == 1:
        return list(files)
    wanted = min(runs) if choice.run == "first" else max(runs) if choice.run == "last" else int(choice.run)
    return [path for path, run in zip(files, runs, strict=True) if run == wanted] or list(files)


def _list(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, paths))
