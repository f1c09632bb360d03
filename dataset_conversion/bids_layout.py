"""Finding cases in a folder laid out by BIDS (Gorgolewski et al., 2016): ``sub-*/[ses-*]/anat/*.nii.gz``."""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.tables import read_table

from .bids_names import CHANNELS, Meaning, entities, meaning
from .brats_releases import NIFTI, walk
from .brats_scan import SIDECARS
from .writing.cases import RawCase

_ENTITY = re.compile(r"([a-z]+)-([A-Za-z0-9+]+)")
_NO_SUBJECT = re.compile(r"sub(ject)?[-_ ]?\w+", re.IGNORECASE)

_LISTED = 6

Key = tuple[str, str]
"""Subject and session, as in ``sub-01`` and ``ses-02`` without the prefixes; the session may be empty."""


@dataclass(frozen=True)
class Choice:
    """What to take where several files are of one modality.

    Args:
        run: ``first``, ``last`` or a number; None refuses several runs.
        prefer: Entities such as ``acq-highres``: files that have them are taken, if any has.
        named: End of a file name, such as ``acq-post_T1w`` → the modality that it is.
    """

    run: str | None = None
    prefer: tuple[str, ...] = ()
    named: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Found:
    images: dict[str, list[Path]] = field(default_factory=dict)
    labels: list[Path] = field(default_factory=list)
    misplaced: list[Path] = field(default_factory=list)
    doubtful: list[tuple[Path, Meaning]] = field(default_factory=list)  # files that may be a modality
    near_labels: list[Path] = field(default_factory=list)  # files that are all but named as segmentations


@dataclass(frozen=True)
class BidsCohort:
    """What a BIDS folder holds.

    Args:
        cases: Its cases, sorted by name.
        ignored: Images in ``anat`` folders that are none of the modalities, or that no case needs.
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
        raise DataError(f"The BIDS folder {raw} does not exist or is not a folder. Name another one.")
    choice = choice or Choice()
    found: dict[Key, _Found] = {}
    ignored: list[Path] = []
    for folder in sorted(path for path in raw.glob("sub-*") if path.is_dir()):
        for place, _, names in walk(folder):
            for name in names:
                _sort(place / name, raw, found, ignored, choice)
    if not found:
        raise DataError(
            f"{raw} has no image such as sub-01/anat/sub-01_T1w.nii.gz or sub-01/ses-1/anat/sub-01_ses-1_FLAIR.nii.gz."
        )
    if labels is not None:
        files = _add_labels(found, labels, pattern)
        ignored = [path for path in ignored if path not in files]
    people = _participants(Path(os.path.realpath(raw)))
    cases = [_case(key, entry, people.get(key[0], {}), choice) for key, entry in sorted(found.items())]
    for entry in found.values():
        ignored += [path for path, _ in entry.doubtful]
    return BidsCohort(cases + _no_subjects(raw), sorted(ignored))


def _sort(path: Path, raw: Path, found: dict[Key, _Found], ignored: list[Path], choice: Choice) -> None:
    """Note what a file of a subject is, as far as its name and place tell."""
    nifti = NIFTI.fullmatch(path.name)
    if nifti is None and path.name.lower().endswith(SIDECARS):
        return
    said = meaning(nifti["stem"] if nifti else path.name.removeprefix(".").partition(".")[0], choice.named)
    *above, folder = path.relative_to(raw).parts[:-1]
    in_place = folder == "anat" and len(above) in (1, 2) and all(map(_ENTITY.fullmatch, above))
    if nifti and in_place and said.modality:
        _entry(found, path, raw, _key(path.name)).images.setdefault(said.modality, []).append(path)
    elif said.modality or (said.may_be and "anat" in map(str.lower, (*above, folder))):
        # In another place, in another format or under another name.
        found.setdefault(_key_of_place(path, raw), _Found()).doubtful.append((path, said))
    elif nifti and in_place:
        ignored.append(path)


def _key_of_place(path: Path, raw: Path) -> Key:
    folders = entities("_".join(path.relative_to(raw).parts[:-1]))
    return folders["sub"], folders.get("ses") or entities(path.name).get("ses", "")


def _no_subjects(raw: Path) -> list[RawCase]:
    """Folders that are meant to be of subjects, but are not named so."""
    wrong = [
        folder
        for folder in sorted(raw.iterdir())
        if folder.is_dir() and _NO_SUBJECT.fullmatch(folder.name) and not folder.name.startswith("sub-")
    ]
    return [
        RawCase(
            re.sub(r"\W", "_", folder.name),
            (None,) * len(CHANNELS),
            None,
            f"{folder} is no folder of a BIDS subject; rename it to sub-LABEL, with its files, or move it elsewhere.",
        )
        for folder in wrong
        if any(folder.rglob("*.nii*"))
    ]


def _key(name: str) -> Key:
    found = entities(name)
    return found["sub"], found.get("ses", "")


def _entry(found: dict[Key, _Found], path: Path, root: Path, key: Key) -> _Found:
    """The case that a file is of; noted if its folders say something else."""
    entry = found.setdefault(key, _Found())
    folders = entities("_".join(path.relative_to(root).parts[:-1]))
    if any(folders.get(what, value) != value for what, value in zip(("sub", "ses"), key, strict=True)):
        entry.misplaced.append(path)
    return entry


def _add_labels(found: dict[Key, _Found], labels: Path, pattern: str) -> list[Path]:
    """Give each case its segmentation; returns all of them."""
    if not labels.is_dir():
        raise DataError(f"The folder of segmentations {labels} does not exist or is not a folder. Name another one.")
    files = sorted(path for path in labels.rglob(pattern) if not path.name.startswith("."))
    if not files:
        raise DataError(f"{labels} has no file named {pattern}. Say with --label-pattern how segmentations are named.")
    for path in files:
        if "sub" not in entities(path.name):
            raise DataError(f"{path} has no sub-LABEL in its name, so it is not known whose segmentation it is.")
        _entry(found, path, labels, _key_of_label(path, found)).labels.append(path)
    for path in sorted(labels.rglob("*")):
        if path not in files and _is_near(path.name, pattern) and "sub" in entities(path.name):
            _entry(found, path, labels, _key_of_label(path, found)).near_labels.append(path)
    return files


def _key_of_label(path: Path, found: Collection[Key]) -> Key:
    subject, session = _key(path.name)
    known = [key for key in found if key[0] == subject]
    # The only session need not be named.
    return known[0] if not session and len(known) == 1 else (subject, session)


def _is_near(name: str, pattern: str) -> bool:
    """Whether a name fits a pattern but for the case of its letters, or ``.gz``."""
    name, pattern = name.lower().removesuffix(".gz"), pattern.lower().removesuffix(".gz")
    return not name.startswith(".") and fnmatch.fnmatchcase(name, pattern)


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
    elif not images and not found.doubtful:
        problem = f"it has the segmentation {_list(found.labels)}, but no image in an anat folder."
    gaps = [name for name in CHANNELS if name not in images]
    candidates = [path for path, said in found.doubtful if said.modality in gaps or set(said.may_be) & set(gaps)]
    if candidates:
        problem = problem or (
            f"it lacks {', '.join(gaps)}, but has files that may be that: {_list(candidates)}. Rename them as BIDS "
            "asks (sub-01_T1w, sub-01_ce-gad_T1w for T1c, sub-01_T2w, sub-01_FLAIR, .nii.gz, in anat), say what they "
            "are, e.g. --modality-of acq-post_T1w=T1c, or move them elsewhere."
        )
    if found.near_labels and not found.labels:
        problem = problem or (
            f"it has no segmentation, but {_list(found.near_labels)} is all but named like one. Rename it, or change "
            "--label-pattern."
        )
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


def _list(paths: Sequence[Path]) -> str:
    more = f" and {len(paths) - _LISTED} more" if len(paths) > _LISTED else ""
    return ", ".join(map(str, paths[:_LISTED])) + more
