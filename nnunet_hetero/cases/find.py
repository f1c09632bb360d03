"""The cases of an input folder: which file holds which modality, and which modalities the user lets the model see."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nnunet_hetero.cases.naming import doubt
from nnunet_hetero.cases.naming.names import channels_in, image_name, sort_names, split_ending
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.modalities import Modalities, Subset

FileList = Sequence[str | os.PathLike | None]


@dataclass(frozen=True)
class Case:
    """One patient's images.

    Args:
        name: Case identifier, the file name without ``_XXXX`` and file ending.
        files: One path per channel, None where there is no file.
        problem: Why the files cannot be used, None if nothing is wrong with their names.
    """

    name: str
    files: tuple[str | None, ...]
    problem: str | None = None


def kept_modalities(modalities: Modalities, missing: Iterable[str | int], available: Iterable[str | int]) -> Subset:
    """What the model may see: ``--available`` (default: everything) without ``--missing``.

    Raises:
        SettingsError: If a name is unknown or repeated, a modality is in both lists, or nothing is left.
    """
    missing, available = list(missing), list(available)
    switched_off = modalities.parse(missing, "--missing")
    kept = modalities.parse(available, "--available") if available else tuple(range(len(modalities)))
    contradiction = set(switched_off) & set(kept) if available else ()
    if contradiction:
        raise SettingsError(
            f"{modalities.label(contradiction)} stands in both --missing and --available. Name it in one of them."
        )
    kept = tuple(channel for channel in kept if channel not in switched_off)
    if not kept:
        raise SettingsError(
            f"--missing {modalities.label(switched_off)} leaves no modality. This dataset has "
            f"{modalities.label(range(len(modalities)))}; keep at least one of them."
        )
    return kept


def find_cases(
    source: str | os.PathLike | Sequence[FileList],
    modalities: Modalities,
    file_ending: str,
    kept: Subset | None = None,
) -> list[Case]:
    """The cases of a folder, or of lists of files, sorted as nnU-Net sorts them.

    A folder's files are named ``CASE_XXXX`` plus the file ending, XXXX being the channel; modalities without a file are
    absent. A case that lacks a modality while a file lies there that could be it has a problem; so has one that has no
    image but such files. A list holds the files of one case: named like that, in any order, or under any names but then
    one entry per channel, None for an absent one.

    Args:
        source: The folder, or the lists.
        modalities: The data set's.
        file_ending: The data set's.
        kept: Modalities that the user lets the model see, see `kept_modalities`; no other file matters. None: all.

    Raises:
        DataError: If the folder does not exist or has no file that is named like that.
    """
    if not isinstance(source, (str, os.PathLike)):
        return [_case_of_list(files, modalities, file_ending) for files in source]
    folder = Path(source)
    if not folder.is_dir():
        raise DataError(f"The input folder {folder} does not exist. Give an existing folder with -i.")
    kept = tuple(range(len(modalities))) if kept is None else kept
    entries = list(folder.iterdir())
    files = [entry.name for entry in entries if not entry.is_dir()]
    names = sort_names(files, [entry.name for entry in entries if entry.is_dir()], modalities, file_ending)
    if not names.images:
        raise DataError(doubt.no_images(folder, names, modalities, file_ending))
    doubt.tell(names)
    cases = []
    below: dict[tuple[str, int], str] | None = None
    for name in sorted({*names.images, *names.doubtful}):
        doubtful = names.doubtful.get(name, [])
        if name not in names.images:
            cases.append(Case(name, (None,) * len(modalities), doubt.no_image(name, doubtful, modalities, file_ending)))
            continue
        case = _case_of_list([str(folder / file) for _, file in names.images[name]], modalities, file_ending)
        unreadable = _no_text(case.files)
        problem = f"Case {os.fsencode(name)!r}: {unreadable}" if unreadable else case.problem
        problem = problem or doubt.doubt(case.name, case.files, doubtful, modalities, kept, file_ending)
        absent = [channel for channel in kept if problem is None and case.files[channel] is None]
        if absent and name in names.unknown:
            doubt.tell_unknown(name, names.unknown[name], absent, modalities)
        if absent:
            below = _images_below(entries, file_ending) if below is None else below
            doubt.tell_below(name, {channel: below.get((name, channel)) for channel in absent}, modalities)
        if name in names.claimed:
            problem = problem or doubt.maybe_label(case.name, case.files)
        cases.append(replace(case, problem=problem))
    return _numbered_patients(cases, modalities, kept)


def _images_below(entries: Iterable[Path], file_ending: str) -> dict[tuple[str, int], str]:
    """By case and channel, the images in folders of the folder, where nobody looks for them."""
    found: dict[tuple[str, int], str] = {}
    for entry in sorted(entries):
        if entry.is_dir() and not entry.name.startswith("."):
            with contextlib.suppress(OSError):
                for name in sorted(os.listdir(entry)):
                    image = None if name.startswith(".") else image_name(name, file_ending)
                    if image is not None:
                        found.setdefault(image, os.path.join(entry.name, name))
    return found


def _numbered_patients(cases: list[Case], modalities: Modalities, kept: Subset) -> list[Case]:
    named = [case for case in cases if any(case.files)]
    numbers = [number for case in named if (number := _last_number(case.files)) is not None]
    if 0 not in kept or len(numbers) < len(named):
        return cases
    question = doubt.numbered_patients(named[0].name, numbers[0], modalities)
    if len(named) == 1 and not named[0].problem and numbers[0] > 1 and doubt.is_name_of_cohort(named[0].name):
        return [replace(case, problem=case.problem or f"Case '{case.name}': {question}") for case in cases]
    print(f"WARNING: {question}")
    return cases


def _last_number(files: Sequence[str | None]) -> int | None:
    """The last channel of a case that has exactly the channels 1, 2, ...; None for other cases."""
    channels = [channel for channel, file in enumerate(files) if file]
    return channels[-1] if channels == list(range(1, len(channels) + 1)) else None


def _case_of_list(entries: FileList, modalities: Modalities, file_ending: str) -> Case:
    paths = [None if entry is None else str(entry) for entry in entries]
    files = [path for path in paths if path is not None]
    if not files:
        raise DataError("A case was given as a list without any file. Leave the case out, or name at least one file.")
    repeated = [file for file, count in Counter(map(os.path.abspath, files)).items() if count > 1]
    if repeated:
        name = os.path.basename(repeated[0])
        problem = f"Case '{name}': {repeated[0]} is given more than once. An image is one modality."
        return Case(name.removesuffix(file_ending), tuple(paths), problem)
    parsed = [parts for file in files if (parts := image_name(os.path.basename(file), file_ending))]
    if len(parsed) < len(files):
        return _case_by_position(paths, modalities, file_ending)
    return _case_by_number(files, parsed, modalities)


def _no_text(paths: Iterable[str | None]) -> str | None:
    """Readers, which are written in C++, end the whole process at a name that is no text for Python."""
    for path in filter(None, paths):
        try:
            path.encode()
        except UnicodeEncodeError:
            return (
                f"{os.fsencode(path)!r} is no text in {sys.getfilesystemencoding()}, so that readers cannot find the "
                "file. Rename it, or, if its name is in UTF-8, set PYTHONUTF8=1."
            )
    return None


def _case_by_number(files: list[str], parsed: list[tuple[str, int]], modalities: Modalities) -> Case:
    name, known = parsed[0][0], _numbered(modalities)
    channels = [channel for _, channel in parsed]
    for file, channel in zip(files, channels, strict=True):
        if channel >= len(modalities):
            problem = (
                f"Case '{name}': file {file} is channel {channel}, but the dataset has {len(modalities)} channels: "
                f"{known}. Rename or remove the file; if {channel} is the number of a patient, the channel is missing "
                f"behind it, e.g. {name}_{channel:04d}_0000."
            )
            return Case(name, tuple(files), problem)
    repeated = [channel for channel, count in Counter(channels).items() if count > 1]
    if repeated:
        channel = repeated[0]
        given = [file for file, number in zip(files, channels, strict=True) if number == channel]
        problem = f"Case '{name}': channel {channel} ({modalities.names[channel]}) is given more than once: {given}."
        return Case(name, tuple(files), problem)
    file_of = dict(zip(channels, files, strict=True))
    return Case(name, tuple(file_of.get(channel) for channel in range(len(modalities))))


def _case_by_position(paths: list[str | None], modalities: Modalities, file_ending: str) -> Case:
    first = next(path for path in paths if path is not None)
    name, known = os.path.basename(first).removesuffix(file_ending), _numbered(modalities)
    if len(paths) != len(modalities):
        problem = (
            f"Case '{name}': the list has {len(paths)} entries, and not all are named CASE_XXXX{file_ending}. Name "
            f"them like that, or give one entry per channel (None for an absent one): {known}."
        )
        return Case(name, tuple(paths), problem)
    for place, path in enumerate(paths):
        told = () if path is None else _told_by_end(split_ending(os.path.basename(path))[0], modalities)
        if told and place not in told:
            problem = (
                f"Case '{name}': {path} stands in the place of {modalities.names[place]}, but its name says "
                f"{modalities.names[told[0]]}. Without names of nnU-Net's for all files, the list goes by the order of "
                f"the channels: {known}."
            )
            return Case(name, tuple(paths), problem)
    return Case(name, tuple(paths))


def _told_by_end(stem: str, modalities: Modalities) -> tuple[int, ...]:
    """The channel that a name ends with: ``_0003``, or a modality's name."""
    head, separator, tail = stem.rpartition("_")
    number = tail.isdecimal() and len(tail) == 4
    return channels_in(f"_{tail}", modalities) if separator and head and (number or not tail.isdecimal()) else ()


def _numbered(modalities: Modalities) -> str:
    return ", ".join(f"{number:04d} {name}" for number, name in enumerate(modalities.names))
