"""Label classes as users name them: ``--classes edema=2 core=1 ...``, or regions that overlap, ``whole=1+2``."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.dataset_conversion.writing.dataset import LabelScheme
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.documents import Document

IGNORE = "ignore"  # nnU-Net's class of voxels that count for nothing; it must have the highest value


def add_classes_argument(parser: argparse.ArgumentParser, *flags: str) -> None:
    """Add ``--classes`` under these names."""
    parser.add_argument(
        *flags,
        dest="classes",
        nargs="+",
        metavar="NAME=VALUE",
        help="what the values in the segmentations mean: NAME=VALUE ..., or regions from the outermost to the "
        "innermost, NAME=VALUE+VALUE ...; or a JSON file with that as an object",
    )


def read_classes(entries: Sequence[str]) -> LabelScheme:
    """Read the values of ``--classes``.

    nnU-Net wants labels 1, 2, 3, ...: the values are numbered by their size. Regions must be nested so that each has
    one value which no later one has; that value is written where the region is the innermost one.

    Args:
        entries: ``NAME=VALUE`` or ``NAME=VALUE+VALUE``; or the path of one JSON file, name → value or list of values.

    Raises:
        SettingsError: If an entry cannot be read, values are used twice or are no positive whole numbers, or regions
            are not nested like that.

    Examples:
        >>> read_classes(["edema=1", "core=2"]).labels
        {'background': 0, 'edema': 1, 'core': 2}
        >>> read_classes(["whole=1+2", "core=2"]).labels
        {'background': 0, 'whole': [1, 2], 'core': 2}
    """
    pairs = _from_file(Path(entries[0])) if len(entries) == 1 and entries[0].endswith(".json") else _from_words(entries)
    classes = {name: _values(name, values) for name, values in pairs.items()}
    if not set(classes) - {IGNORE}:
        raise SettingsError("--classes names no class.")
    ignore = classes.get(IGNORE, [])
    raw = sorted(set().union(*classes.values()) - set(ignore)) + ignore
    label_of = {value: number for number, value in enumerate([0, *raw])}
    regions = {name: list(map(label_of.__getitem__, values)) for name, values in classes.items()}
    if all(len(values) == 1 for values in regions.values()):
        labels: dict[str, int | list[int]] = {name: values[0] for name, values in regions.items()}
        if len(set(labels.values())) < len(labels):
            raise SettingsError(f"--classes gives one value two names: {_shown(classes)}.")
        return LabelScheme({"background": 0, **dict(sorted(labels.items(), key=lambda item: item[1]))}, label_of)
    # nnU-Net has 'ignore' beside the regions, not among those that it writes.
    order = _class_order({name: values for name, values in regions.items() if name != IGNORE}, classes)
    nested = {name: values[0] if len(values) == 1 else values for name, values in regions.items()}
    return LabelScheme({"background": 0, **nested}, label_of, order)


CLASSES = Document(
    dict[str, int | str | list[int | str]],
    "names of classes and their values",
    'Give --classes such a file, e.g. {"whole": [1, 2, 4], "core": [1, 4]}.',
    SettingsError,
)


def _from_words(entries: Sequence[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for entry in entries:
        name, separator, values = entry.partition("=")
        if not separator or not name or name in found:
            raise SettingsError(f"--classes: '{entry}' is not NAME=VALUE with a name of its own, e.g. lesion=1.")
        found[name] = values.split("+")
    return found


def _from_file(file: Path) -> dict[str, Any]:
    content = CLASSES.read(file)
    return {name: values if isinstance(values, list) else [values] for name, values in content.items()}


def _values(name: str, values: Sequence[Any]) -> list[int]:
    texts = [str(value).strip() for value in values]
    wrong = [text for text in texts if not re.fullmatch(r"[1-9]\d*", text)]
    if wrong or not texts or len(set(texts)) < len(texts) or name == "background":
        raise SettingsError(
            f"--classes: {name}={'+'.join(texts)} is not possible; values are whole numbers from 1 on, each once. "
            "0 is the background, which needs no entry."
        )
    if name == IGNORE and len(texts) > 1:
        raise SettingsError("--classes: 'ignore' takes one value.")
    return sorted(map(int, texts))


def _class_order(regions: Mapping[str, Sequence[int]], classes: Mapping[str, Sequence[int]]) -> tuple[int, ...]:
    """The label that each region writes: the one that no later region has."""
    names, order = list(regions), []
    for index, name in enumerate(names):
        own = set(regions[name]).difference(*(regions[other] for other in names[index + 1 :]))
        if len(own) != 1:
            raise SettingsError(
                f"--classes: of the values of '{name}', {len(own)} are in no later region; it must be exactly one. "
                f"Name nested regions from the outermost to the innermost, e.g. whole=1+2+4 core=1+4 enhancing=4; "
                f"found: {_shown(classes)}."
            )
        order += own
    return tuple(order)


def _shown(classes: Mapping[str, Sequence[int]]) -> str:
    return " ".join(f"{name}={'+'.join(map(str, values))}" for name, values in classes.items())
