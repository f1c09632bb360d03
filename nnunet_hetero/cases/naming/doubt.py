"""What is said of files whose names are not quite right."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

from nnunet_hetero.cases.naming.names import SEPARATORS, VOLUMES, Doubtful, FolderNames, image_name, split_ending
from nnunet_hetero.modalities import Modalities, Subset


def no_images(folder: Path, names: FolderNames, modalities: Modalities, ending: str) -> str:
    """What to say of a folder without any image."""
    doubtful = list(chain.from_iterable(names.doubtful.values()))
    found = ""
    if doubtful:
        found = (
            f" It has {len(doubtful)} file(s) that could be images under another name, e.g. {doubtful[0].name}. Name "
            "them as nnU-Net does; another format must be converted."
        )
    elif names.others:
        found = f" It has {len(names.others)} other file(s) with this ending, e.g. {names.others[0]}."
    return (
        f"The input folder {folder} has no image named CASE_XXXX{ending} (XXXX is the channel, e.g. CASE_0000{ending} "
        f"for {modalities.names[0]}).{found}"
    )


def tell(names: FolderNames) -> None:
    """Say what is not taken for an image, and what might be meant otherwise."""
    if names.others:
        print(
            f"Ignored {len(names.others)} file(s) without a channel number _XXXX in their name, e.g. {names.others[0]}."
        )
    if names.labels:
        print(
            f"WARNING: {len(names.labels)} file(s) are taken for label maps and ignored, since there is a case of each "
            f"name, e.g. {names.labels[0]}."
        )
    alike: dict[str, list[str]] = {}
    for case in names.images:
        alike.setdefault("".join(letter for letter in case.lower() if letter not in SEPARATORS), []).append(case)
    for group in (*alike.values(), *_torn_apart(names, alike)):
        if len(group) > 1:
            listed = " and ".join(f"'{case}'" for case in sorted(group))
            print(f"WARNING: {listed} are taken for different cases. Are they one patient?")


def _torn_apart(names: FolderNames, alike: Mapping[str, Sequence[str]]) -> list[tuple[str, str]]:
    """Cases of which one's name is the other's with something before or behind it, as ``X_0001_0000`` beside X without
    channel 0, and which have no channel in common.
    """
    channels: dict[str, set[int]] = {}
    for case, entries in names.images.items():
        channels[case] = {channel for channel, _ in entries}
    spelt: set[str] = set().union(*(group for group in alike.values() if len(group) > 1))
    found = []
    for case in names.images:
        shorter: set[str] = set()
        for match in re.finditer(rf"[{re.escape(SEPARATORS)}]+", case):
            shorter |= {case[: match.start()], case[match.start() :].lstrip(SEPARATORS)}
        for other in sorted(shorter & channels.keys() - {case}):
            named = image_name(f"{case}.", ".")
            same = channels[other] & ({named[1]} if named and named[0] == other else channels[case])
            if not same and not {case, other} <= spelt:
                found.append((other, case))
    return found


def tell_unknown(case: str, unknown: Sequence[str], lacking: Sequence[int], modalities: Modalities) -> None:
    """Say that a case lacks modalities while images lie beside it whose names do not say what they are."""
    print(
        f"WARNING: case '{case}' has no {modalities.label(lacking)}, but {unknown[0]} lies there, whose name does not "
        "say what it is. It is ignored. If it is one of them, give it its channel number."
    )


def tell_below(case: str, images: Mapping[int, str | None], modalities: Modalities) -> None:
    """Say that a case lacks modalities of which images lie in a folder below.

    Args:
        case: Its name.
        images: By channel that it lacks, the image below; None where there is none.
        modalities: The data set's.
    """
    for channel, file in images.items():
        if file is not None:
            print(
                f"WARNING: case '{case}' has no {modalities.names[channel]}, but {file} lies in a folder below, where "
                "images are not looked for. If it belongs to the case, move it up."
            )


def no_image(case: str, doubtful: Sequence[Doubtful], modalities: Modalities, ending: str) -> str:
    """What to say of a case that has nothing but files whose names are not quite right."""
    one = doubtful[0]
    return (
        f"Case '{case}' has no image named {case}_XXXX{ending}, but {one.name} lies there and could be its "
        f"{_or(one, modalities)}. Name it {case}_{one.channels[-1]:04d}{ending} (another format must be converted), or "
        "move it out of the folder."
    )


def doubt(
    case: str,
    files: Sequence[str | None],
    doubtful: Sequence[Doubtful],
    modalities: Modalities,
    kept: Subset,
    ending: str,
) -> str | None:
    """What is wrong with a case that has files whose names are not quite right."""
    lacking = {channel for channel in kept if files[channel] is None}
    for one in doubtful:
        missing = sorted(lacking & set(one.channels))
        if missing:
            name = modalities.names[missing[0]]
            return (
                f"Case '{case}' has no {name} (channel {missing[0]}), but {one.name} lies there and could be it. "
                f"Name it {case}_{missing[0]:04d}{ending} (another format must be converted), move it out of the "
                f"folder, or leave the modality out on purpose: --missing {name}"
            )
        own = [Path(file).name for channel in one.channels if channel in kept and (file := files[channel])]
        if not own:
            continue
        stem, other = split_ending(one.name)
        if stem == own[0].removesuffix(ending) and other.lower() in VOLUMES:
            return (
                f"Case '{case}': {own[0]} and {one.name} both claim channel {one.channels[0]} "
                f"({modalities.names[one.channels[0]]}). Keep one; the data set's file ending is {ending}."
            )
        print(f"WARNING: case '{case}': {one.name} is ignored, since there is {own[0]}.")
    return None


def _or(one: Doubtful, modalities: Modalities) -> str:
    return " or ".join(modalities.names[channel] for channel in one.channels)


def maybe_label(case: str, files: Sequence[str | None]) -> str:
    """What to say of a case whose images may be label maps of others."""
    own = [Path(file).name for file in files if file]
    return (
        f"Case '{case}': {own[0]} is named as an image of it, and as the label map of another case in the "
        "folder. Move label maps out of the folder, or rename the case."
    )


def is_name_of_cohort(case: str) -> bool:
    """Whether a name is a word without the number of a patient, but perhaps of a year: ``BRATS``, ``ISLES2022``."""
    return bool(re.fullmatch(r"[^\d]{3,}(?:(?:19|20)\d\d)?[^\d]*", case))


def numbered_patients(case: str, last: int, modalities: Modalities) -> str:
    """The question whether channels 1, 2, ... are the numbers of patients: ``BRATS_0001`` to ``BRATS_0003``."""
    first = modalities.names[0]
    return (
        f"no file of case '{case}' is _0000 ({first}), only _0001 to _{last:04d}. Are these patients, not "
        f"modalities? An image is named CASE_XXXX, e.g. {case}_0001_0000 for the {first} of patient {case}_0001. If it "
        f"is one patient without {first}, say so: --missing {first}"
    )
