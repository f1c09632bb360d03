"""Which image in a folder is which modality of which case: a proposal with reasons, for the user to look at.

A case is a folder, or a zip, in the input folder. Nothing is left out: every image and every DICOM series has a row,
and so has a case that holds none; whatever could be one of the model's modalities without being surely that one is
``doubtful``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from nnunet_hetero.cases.naming.names import NO_IMAGES, PICTURES, UNFINISHED, VOLUMES, not_here, split_ending
from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.dicom.finding import find_dicom
from nnunet_hetero.intake.dicom.scan import is_dicom, scan
from nnunet_hetero.intake.files.sources import ZIP
from nnunet_hetero.intake.files.tree import Tree, folder_tree, folders_in, zip_tree
from nnunet_hetero.intake.proposal.candidates import Candidate, compared
from nnunet_hetero.intake.proposal.names import told_by_name, verdict_of_name
from nnunet_hetero.intake.proposal.verdict import DOUBTFUL, SURE, Verdict, Vocabulary
from nnunet_hetero.intake.series import Series
from nnunet_hetero.modalities import Modalities

READABLE = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
"""Endings of the files that are read as they are."""

ARCHIVES = (
    *(".7z", ".rar", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst", ".gz", ".bz2"),
    *(".xz", ".zst", ".iso", ".zip.001", ".7z.001", ".z01"),
)
"""Endings of files that may hold any image and are not opened."""

_EXPECTED = f"no DICOM series, and no file that ends in {', '.join(READABLE)}"


def find_series(folder: Path, modalities: Modalities) -> list[Series]:
    """Propose what each image of each case is.

    Args:
        folder: With a folder or a zip per case.
        modalities: The model's.

    Raises:
        DataError: If the folder is not there, holds no case, or has images beside the folders of its cases.
        SettingsError: If there are DICOM files, and what reads them is not installed.
    """
    if not folder.is_dir():
        what = "is no folder" if folder.exists() else "does not exist"
        raise DataError(f"The input folder {folder} {what}. Give a folder with a folder per case.")
    vocabulary = Vocabulary(modalities)
    found: list[Series] = []
    empty: list[Series] = []
    for case, entries in sorted(_cases(folder).items()):
        rows = _of_case(case, entries, folder, vocabulary)
        found += rows
        if not rows:
            empty.append(Series(case, _below(entries[0], folder), "", SURE, f"it holds no image: {_EXPECTED}"))
    if not found:
        raise DataError(f"{folder} holds no image: {_EXPECTED}. Expected is a folder per case with its images.")
    return sorted(found + empty, key=lambda row: row.case)


def _cases(folder: Path) -> dict[str, list[Path]]:
    cases: dict[str, list[Path]] = {}
    loose = []
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        packed = ZIP if entry.name.lower().endswith(ZIP) else _archive_ending(entry.name)
        if entry.is_dir():
            cases.setdefault(entry.name.strip(), []).append(entry)
        elif packed:
            cases.setdefault(entry.name[: -len(packed)].strip(), []).append(entry)
        elif split_ending(entry.name)[1] or (entry.is_file() and is_dicom(entry)):
            loose.append(entry.name)
    if loose:
        raise DataError(
            f"{folder} has {len(loose)} image(s) beside the folders of its cases, e.g. {loose[0]}. Put the images of "
            "each case into a folder with the case's name, and give the folder above."
        )
    return cases


def _of_case(case: str, entries: Sequence[Path], folder: Path, vocabulary: Vocabulary) -> list[Series]:
    candidates: list[Candidate] = []
    for entry in entries:
        try:
            candidates += _of_entry(case, entry, folder, vocabulary)
        except DataError as error:
            candidates.append(Candidate(_below(entry, folder), vocabulary.any(str(error))))
    verdicts = compared(candidates)
    rows = []
    for candidate, verdict in zip(candidates, verdicts, strict=True):
        rows.append(Series(case, candidate.source, verdict.modality, verdict.confidence, verdict.why, verdict.may_be))
    return sorted(rows, key=lambda row: row.source)


def _of_entry(case: str, entry: Path, folder: Path, vocabulary: Vocabulary) -> Iterator[Candidate]:
    """Candidates of a folder, or of a zip that lies anywhere in a case."""
    packed = "" if entry.is_dir() else _archive_ending(entry.name)
    if packed:
        yield Candidate(_below(entry, folder), _unopened(packed, vocabulary))
        return
    if entry.is_dir():
        tree: Tree = folder_tree(entry)
    else:
        tree = zip_tree(entry)
    prefix = f"{_below(entry, folder)}{'/' if entry.is_dir() else '#'}"
    rest, notes = [], set()
    for name in tree.names:
        if name.lower().endswith(ZIP):
            yield from _of_inner_zip(case, name, entry, folder, vocabulary)
        elif _is_image(name):
            yield _of_file(case, name, prefix, vocabulary)
        else:
            rest.append(name)
    seen = scan(tree, rest)
    yield from find_dicom(tree, seen, _below(entry, folder), vocabulary)
    for name in seen.others:
        verdict = _of_another(case, name, vocabulary)
        if verdict is not None:
            yield Candidate(prefix + name, verdict)
        else:
            notes.add(name)
    images = [name for name in tree.names if name not in notes]
    for name, verdict in _without_image(case, folders_in(entry), images, vocabulary):
        yield Candidate(prefix + name, verdict)


def _without_image(
    case: str, folders: Sequence[str], images: Sequence[str], vocabulary: Vocabulary
) -> Iterator[tuple[str, Verdict]]:
    """Folders that are named like a modality and hold no image: a series that was not exported, or not unpacked."""
    for name in folders:
        told = told_by_name(name.rpartition("/")[2], case, vocabulary)
        if told is not None and told.possible and not any(image.startswith(f"{name}/") for image in images):
            why = f"{told.why}; the folder holds no image. Was it exported, or unpacked, as a whole?"
            yield name, Verdict("", DOUBTFUL, why, told.possible)


def _of_another(case: str, path: str, vocabulary: Vocabulary) -> Verdict | None:
    """The verdict on a file of a format that nobody here knows, if it may be an image all the same; None if not.

    It may be one if it is packed, or is itself named like a modality: ``t2.PAR``.
    """
    name = path.rpartition("/")[2]
    packed = _archive_ending(name)
    if packed:
        return _unopened(packed, vocabulary)
    ending = Path(name).suffix
    if name.startswith(".") or ending.lower() in (*NO_IMAGES, *PICTURES):
        return None
    told = told_by_name(Path(name).stem, case, vocabulary)
    if told is None or not told.possible:
        return None
    return Verdict("", DOUBTFUL, f"{told.why}; {_unread(ending)}", told.possible)


def _archive_ending(name: str) -> str:
    """The ending of a file that may hold any image and is not opened; empty of others."""
    lowered = name.lower()
    found = max((ending for ending in ARCHIVES if lowered.endswith(ending)), key=len, default="")
    rest = lowered[: len(lowered) - len(found)]
    return "" if split_ending(name)[1] or rest.endswith(NO_IMAGES) else found


def _unopened(ending: str, vocabulary: Vocabulary) -> Verdict:
    return vocabulary.any(f"files that end in '{ending}' are not opened. Unpack it, or pack it as zip")


def _unread(ending: str) -> str:
    what = f"files that end in '{ending}' are" if ending else "a file without an ending that is no DICOM is"
    return f"{what} not read. Save it as NIfTI, NRRD or MetaImage"


def _of_inner_zip(case: str, name: str, entry: Path, folder: Path, vocabulary: Vocabulary) -> Iterator[Candidate]:
    if not entry.is_dir():
        yield Candidate(f"{_below(entry, folder)}#{name}", vocabulary.any("a zip in a zip is not opened. Unpack it"))
        return
    try:
        yield from _of_entry(case, entry / name, folder, vocabulary)
    except DataError as error:
        yield Candidate(_below(entry / name, folder), vocabulary.any(str(error)))


def _of_file(case: str, name: str, prefix: str, vocabulary: Vocabulary) -> Candidate:
    folders, _, last = name.rpartition("/")
    meant = not_here(last)
    verdict = verdict_of_name(f"{folders}/{meant}".lstrip("/") if meant else name, case, vocabulary)
    ending = split_ending(last)[1].lower()
    if (ending in READABLE and not meant) or not verdict.possible:
        return Candidate(prefix + name, verdict)
    problem = (
        f"it stands for {meant}, which is not wholly here. Download or copy it again" if meant else _unread(ending)
    )
    return Candidate(prefix + name, Verdict("", DOUBTFUL, f"{verdict.why}; {problem}", verdict.possible))


def _is_image(path: str) -> bool:
    """Whether a name is that of an image that is no DICOM file; pictures of a page are none."""
    name = path.rpartition("/")[2]
    ending = split_ending(not_here(name) or name)[1].lower()
    volume = any(ending.startswith(known) for known in VOLUMES) or (ending and ending.endswith(UNFINISHED))
    if ending in (".dcm", ".ima", ".img", ".img.gz") or (ending == "" or name.lower().endswith(NO_IMAGES)):
        return False
    return bool(volume)


def _below(path: Path, folder: Path) -> str:
    return path.relative_to(folder).as_posix()
