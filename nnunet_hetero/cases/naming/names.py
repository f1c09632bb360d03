"""What the name of a file says: an image of a case, something that could be one, or surely none.

The one place where this is decided, for folders to predict and to evaluate, for ``imagesTr`` and for label maps. An
absent modality is legal here, so that a file with a slightly wrong name would be a wrong result without a word.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nnunet_hetero.io.drafts import is_draft
from nnunet_hetero.modalities import Modalities

VOLUMES = (
    *(".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".gipl", ".gipl.gz"),
    *(".mgz", ".mgh", ".mnc", ".dcm", ".ima", ".tif", ".tiff", ".nii.bz2", ".nii.zst", ".nii.xz", ".nii.zip", ".npy"),
)
PICTURES = (".png", ".bmp", ".jpg", ".jpeg", ".gif", ".webp")
UNFINISHED = (".part", ".crdownload", ".download", ".tmp", ".bak", ".old", ".orig", ".gz", ".zip", ".7z", "~")
"""What stands behind the ending of a file that was not wholly copied, or put aside."""

NO_IMAGES = (
    *(".json", ".txt", ".csv", ".tsv", ".xml", ".pkl", ".npz", ".md", ".log", ".yaml", ".yml", ".mat", ".html", ".pdf"),
    *(".bval", ".bvec", ".xlsx", ".docx", ".py", ".sh", ".h5", ".tfm", ".raw", ".zraw", ".lock"),
)
NO_IMAGE_WORDS = frozenset(
    (
        *("seg", "dseg", "segm", "segmentation", "segmentations", "label", "labels", "mask", "masks", "lesion"),
        *("lesions", "roi", "gt", "truth", "groundtruth", "pred", "prediction", "predictions", "prob", "probs"),
        *("probability", "probabilities", "annotation", "annotations", "contour", "contours", "rtstruct", "xfm"),
        *(
            "warp",
            "transform",
            "affine",
            "field",
            "jacobian",
            "aseg",
            "parcellation",
            "preview",
            "thumbnail",
            "entropy",
        ),
    )
)
NO_IMAGE_WORD_ENDS = ("seg", "mask", "label", "labels")

SYNONYMS = (
    frozenset(("t1", "t1n", "t1w", "t1pre", "t1native")),
    frozenset(("t1c", "t1ce", "t1gd", "t1cgd", "t1post", "t1contrast", "t1wce")),
    frozenset(("t2", "t2w")),
    frozenset(("flair", "t2f", "t2flair", "t2wflair", "fl")),
    frozenset(("pet", "pt", "suv", "fdg", "fdgpet")),
)
"""Names of modalities that stand for one another."""

SEPARATORS = " _-."

LETTERS_FOR_DIGITS = str.maketrans("OoIl", "0011")

_DIGITS = re.compile(
    r"[\s_.\-]*(?:ch|chan|channel|mod|modality|c|m)?[\s_.\-]*(?<!\d)(?P<number>\d{1,6})(?!\d)", re.IGNORECASE
)
_NUMBERED = re.compile(r"(?P<case>.*[^\W_].*?)(?P<rest>[\s_.\-]+\d{1,5}(?:[\s_\-]*(?:\(\d+\)|copy.*))?)", re.IGNORECASE)
_NAMED = re.compile(r"(?P<case>.*[^\W_].*?)(?P<rest>[\s_.\-]+[^\W_]*[^\W\d_][^\W_]*)")
_LOOKS_LIKE_DIGITS = re.compile(r"(?<=[\s_.\-])(?=[OoIl]*\d)[OoIl\d]{4}(?![^\W_])")
_NOT_HERE = re.compile(r"\.(?P<name>[^.].*)(?:\.icloud|\.[A-Za-z0-9]{6})")
_STRICT = re.compile(r"(?P<case>.+)_(?P<channel>\d{4})")


@dataclass(frozen=True)
class Doubtful:
    """A file that could be an image of a case.

    Args:
        name: File name.
        channels: Which channels of the case it could be, ascending.
    """

    name: str
    channels: tuple[int, ...]


@dataclass(frozen=True)
class FolderNames:
    """What the names in a folder say.

    Args:
        images: By case, channel number and file name of each of its images.
        doubtful: By case, files that could be images of it; some of these cases have no image.
        labels: Files that are named like images, but are label maps of cases in the folder by all appearances.
        claimed: Cases whose only images are named like label maps of other cases here: nobody can tell which they are.
        others: Files with the data set's ending that are no images of a case.
        unknown: By case, images beside its own whose names do not say what they are.
    """

    images: Mapping[str, list[tuple[int, str]]]
    doubtful: Mapping[str, list[Doubtful]]
    labels: list[str]
    claimed: frozenset[str]
    others: list[str]
    unknown: Mapping[str, list[str]]


def image_name(name: str, ending: str) -> tuple[str, int] | None:
    """Case and channel of a file that is named as nnU-Net names images; None for any other name.

    Example:
        >>> image_name("BRATS_001_0003.nii.gz", ".nii.gz")
        ('BRATS_001', 3)
    """
    match = _STRICT.fullmatch(name[: -len(ending)]) if name.endswith(ending) else None
    return (match["case"], int(match["channel"])) if match else None


def not_here(name: str) -> str | None:
    """The image that a hidden file stands for: a placeholder of iCloud's, or what rsync has not wholly copied.

    Example:
        >>> not_here(".a_0001.nii.gz.icloud"), not_here(".a_0001.nii.gz.aB3xYz"), not_here(".DS_Store")
        ('a_0001.nii.gz', 'a_0001.nii.gz', None)
    """
    match = None if is_draft(name) else _NOT_HERE.fullmatch(name)
    return match["name"] if match and split_ending(match["name"])[1] else None


def split_ending(name: str) -> tuple[str, str]:
    """Stem and ending of an image's file name, whatever its letters; the ending is empty where there is none.

    Example:
        >>> split_ending("a_0001.NII.GZ"), split_ending("a_0001.nii.part"), split_ending("a_0001")
        (('a_0001', '.NII.GZ'), ('a_0001', '.nii.part'), ('a_0001', ''))
    """
    lowered = name.lower()
    tails = sorted((*VOLUMES, *PICTURES), key=len, reverse=True)
    for extra in ("", *UNFINISHED):
        for ending in tails:
            if lowered.endswith(ending + extra) and len(name) > len(ending + extra):
                place = len(name) - len(ending + extra)
                return name[:place], name[place:]
    return name, ""


def is_image_ending(ending: str) -> bool:
    """Whether a file that ends like this, see `split_ending`, holds an image."""
    return bool(ending) and not ending.lower().endswith(NO_IMAGES)


def channels_in(text: str, modalities: Modalities) -> tuple[int, ...]:
    """Which channels the part of a name behind the case could mean: by a number, or by a modality's name.

    A number counts from 0, as nnU-Net's, or from 1.

    Example:
        >>> brats = Modalities(("T1", "T1c", "T2", "FLAIR"))
        >>> channels_in("-1 (2)", brats), channels_in("_T1ce_brain", brats), channels_in("_17", brats)
        ((0, 1), (1,), ())
    """
    named = named_channels(text, modalities)
    if named:
        return named
    match = _DIGITS.match(_LOOKS_LIKE_DIGITS.sub(lambda found: found[0].translate(LETTERS_FOR_DIGITS), text))
    if match is None or (match.start("number") == 0 and len(match["number"]) != 4):
        return ()
    number = int(match["number"])
    # Four digits are nnU-Net's way, which counts from 0.
    possible = (number,) if len(match["number"]) == 4 and number < len(modalities) else (number - 1, number)
    return tuple(channel for channel in possible if 0 <= channel < len(modalities))


def sort_names(files: Iterable[str], folders: Iterable[str], modalities: Modalities, ending: str) -> FolderNames:
    """Sort what lies in a folder.

    Args:
        files: Names of its files.
        folders: Names of the folders in it; an image series may be one.
        modalities: The data set's.
        ending: The data set's file ending.
    """
    images: dict[str, list[tuple[int, str]]] = {}
    rest = []
    for name in sorted(files):
        # macOS leaves hidden companions (._CASE_0000.nii.gz) on network drives.
        exact = None if name.startswith(".") else image_name(name, ending)
        if exact is None:
            rest.append(name)
        else:
            images.setdefault(exact[0], []).append((exact[1], name))
    labels, claimed = _labels_among(images, ending)
    for name in labels:
        images.pop(name.removesuffix(ending).rpartition("_")[0], None)
    doubtful: dict[str, list[Doubtful]] = {}
    for case in [case for case in images if case.rstrip(SEPARATORS) in images.keys() - {case}]:
        # CASE__0001: one separator too many.
        misnamed = [Doubtful(name, (channel,)) for channel, name in images.pop(case)]
        doubtful.setdefault(case.rstrip(SEPARATORS), []).extend(misnamed)
    others: list[str] = []
    unknown: dict[str, list[str]] = {}
    known = _Known(images, modalities, ending)
    for name in rest:
        found = known.case_of(name)
        owner = known.owner(name) if found is None else None
        if owner is not None:
            unknown.setdefault(owner, []).append(name)
        if found is not None:
            doubtful.setdefault(found[0], []).append(Doubtful(name, found[1]))
        elif name.endswith(ending) and not name.startswith("."):
            others.append(name)
    for name in sorted(folders):
        found = None if name.startswith(".") else known.case_of(name, only_known=True)
        if found is not None:
            doubtful.setdefault(found[0], []).append(Doubtful(f"{name}{os.sep}", found[1]))
    return FolderNames(images, doubtful, labels, claimed, others, unknown)


def _labels_among(images: Mapping[str, list[tuple[int, str]]], ending: str) -> tuple[list[str], frozenset[str]]:
    """``BRATS_0001.nii.gz`` beside ``BRATS_0001_0000.nii.gz`` is a label map rather than channel 1 of a case BRATS.

    Returns:
        The files that are label maps for certain: there is one for each case of that name. And the cases of which that
        is possible.
    """
    labels: list[str] = []
    claimed = set()
    for case, entries in images.items():
        if not all(name.removesuffix(ending) in images for _, name in entries):
            continue
        siblings = [other for other in images if (match := _STRICT.fullmatch(other)) and match["case"] == case]
        if len(entries) > 1 and len(entries) == len(siblings):
            labels += [name for _, name in entries]
        else:
            claimed.add(case)
    return labels, frozenset(claimed)


class _Known:
    """Finds the case that a file belongs to, if its name is not quite right."""

    def __init__(self, images: Mapping[str, list[tuple[int, str]]], modalities: Modalities, ending: str):
        self.cases = {case.lower(): case for case in images}
        self.shapes = {_shape(case) for case in images}
        self.modalities = modalities
        self.ending = ending

    def case_of(self, name: str, only_known: bool = False) -> tuple[str, tuple[int, ...]] | None:
        """Case and channels that a file could be of; None if it is no image by all appearances."""
        name = not_here(name) or name
        if name.startswith(".") or name.lower().endswith(NO_IMAGES):
            return None
        stem, ending = (name.removesuffix(self.ending), "") if only_known else split_ending(name)
        may_be_new = not only_known and self._is_volume(ending)
        strict = _STRICT.fullmatch(stem)
        if strict is not None:
            case = self._known(strict["case"]) or (
                strict["case"] if may_be_new and not _is_named_no_image(stem) else None
            )
            channel = int(strict["channel"])
            return (case, (channel,)) if case is not None and channel < len(self.modalities) else None
        if self._known(stem) is not None:
            return None  # named like the case's label map
        for end in range(len(stem) - 1, 0, -1):
            case = self.cases.get(stem[:end].lower())
            if case is not None and not _is_named_no_image(stem[end:]):
                channels = channels_in(stem[end:], self.modalities)
                if channels:
                    return case, channels
        # A name built like those of the cases here is that of another one's label map.
        if not may_be_new or _is_named_no_image(stem) or _shape(stem) in self.shapes:
            return None
        return self._unknown_case(stem)

    def owner(self, name: str) -> str | None:
        """The case whose name a file's begins with, if the rest is a word that does not say what the image is."""
        stem, ending = split_ending(name)
        if name.startswith(".") or not self._is_volume(ending) or _is_named_no_image(stem):
            return None
        if self._known(stem) is not None or _shape(stem) in self.shapes:
            return None  # a label map
        ends = (end for end in range(len(stem) - 1, 0, -1) if stem[end] in SEPARATORS)
        return next((self.cases[stem[:end].lower()] for end in ends if stem[:end].lower() in self.cases), None)

    def _known(self, case: str) -> str | None:
        return self.cases.get(case.lower(), self.cases.get(case.rstrip(SEPARATORS).lower()))

    def _is_volume(self, ending: str) -> bool:
        return bool(ending) and (ending == self.ending or not ending.lower().startswith(PICTURES))

    def _unknown_case(self, stem: str) -> tuple[str, tuple[int, ...]] | None:
        """A case that has no image with the right name: ``b-0001``, ``b_1 (2)``, ``b_T1c``."""
        for match in (_NUMBERED.fullmatch(stem), _NAMED.fullmatch(stem)):
            if match and (channels := channels_in(match["rest"], self.modalities)):
                return match["case"], channels
        return None


def _is_named_no_image(text: str) -> bool:
    return any(word in NO_IMAGE_WORDS or word.endswith(NO_IMAGE_WORD_ENDS) for word in _words(text))


def _shape(text: str) -> str:
    return re.sub(r"\d", "0", text.lower())


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _aliases(modalities: Modalities) -> dict[str, int]:
    own = {"".join(_words(name)): channel for channel, name in enumerate(modalities.names)}
    aliases: dict[str, int] = {}
    for name, channel in own.items():
        for group in SYNONYMS:
            if name in group:
                aliases |= dict.fromkeys(group, channel)
    return {alias: channel for alias, channel in {**aliases, **own}.items() if alias and not alias.isdigit()}


def named_channels(text: str, modalities: Modalities) -> tuple[int, ...]:
    """Which channels a text names by a modality's name or a synonym, numbers apart.

    Example:
        >>> named_channels("sub-2 T2-FLAIR", Modalities(("T1", "T1c", "T2", "FLAIR")))
        (3,)
    """
    aliases, words = _aliases(modalities), _words(text)
    found = set()
    start = 0
    while start < len(words):
        # T2-FLAIR is FLAIR, not T2.
        for length in (3, 2, 1):
            channel = aliases.get("".join(words[start : start + length]))
            if channel is not None:
                found.add(channel)
                start += length - 1
                break
        start += 1
    return tuple(sorted(found))
