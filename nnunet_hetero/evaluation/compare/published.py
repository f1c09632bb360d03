"""Published results on BraTS, to stand beside the user's own: Table 1 of the paper, and newer averages.

The numbers are in ``published/*.csv``, in % Dice, with their sources. They are of other cases and splits than the
user's; no test is made against them.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities, Subset

SOURCE = "Dorent et al., MICCAI 2019, Table 1 (BraTS 2018), as published"
NETWORKS = {"HeMIS": 1, "U-HeMIS": 1, "U-HVED": 1, "Single": 15}
"""The columns of Table 1 that are shown, and how many networks each needs; *Single* is one U-Net per subset."""

AS_PRINTED = (
    "The paper prints 59.7 as U-HeMIS's mean over the subsets for the tumour core; its 15 rows give 60.9. The table "
    "shows the mean of the rows, this list what is printed."
)
_MODALITIES = {"T1": "t1 t1n t1w", "T1c": "t1c t1ce t1gd t1post", "T2": "t2 t2w", "FLAIR": "flair t2f t2flair"}
_REGIONS = {"WT": "whole", "TC": "core", "ET": "enhancing"}


@dataclass(frozen=True)
class PublishedMethod:
    """A column of Table 1, for the user's channels and regions.

    Args:
        name: Of the method.
        dice: In %, by subset and region.
    """

    name: str
    dice: dict[tuple[Subset, str], float]

    def mean(self, subsets: Sequence[Subset], region: str) -> float:
        """Mean over subsets, in %."""
        return sum(self.dice[subset, region] for subset in subsets) / len(subsets)


def table_1(modalities: Modalities, regions: Sequence[str]) -> list[PublishedMethod]:
    """The columns of Table 1 for a dataset's modalities and regions, which are found by their names.

    Raises:
        SettingsError: If one of them is none of BraTS's.
    """
    own_regions = keys_of_regions(regions)
    channels = {_matching(name, _MODALITIES, "modality", _is_modality): at for at, name in enumerate(modalities.names)}
    if len(channels) < len(modalities) or len(own_regions) < len(regions):
        listed = ", ".join((*modalities.names, *regions))
        raise SettingsError(
            f"--paper: two of your modalities or regions ({listed}) mean the same in the paper's table."
        )
    columns = {name: PublishedMethod(name, {}) for name in NETWORKS}
    for row in _read("brats2018_table1.csv"):
        names = row["subset"].split("+")
        if row["region"] in own_regions and all(name in channels for name in names):
            subset = tuple(sorted(channels[name] for name in names))
            for name, column in columns.items():
                column.dice[subset, own_regions[row["region"]]] = float(row[name])
    return list(columns.values())


def keys_of_regions(regions: Sequence[str]) -> dict[str, str]:
    """The user's regions by the paper's: ``WT``, ``TC``, ``ET``.

    Raises:
        SettingsError: If one is none of them.

    Examples:
        >>> keys_of_regions(["whole tumor", "ET"])
        {'WT': 'whole tumor', 'ET': 'ET'}
    """
    return {_matching(name, _REGIONS, "region", _is_region): name for name in regions}


def averages() -> list[dict[str, str]]:
    """Means over the 15 subsets, in %: ``dataset``, ``method``, ``networks``, ``WT``, ``TC``, ``ET``, ``source``.

    ``mean`` is that of the three regions.
    """
    return _read("averages.csv")


def _read(name: str) -> list[dict[str, str]]:
    table = resources.files("nnunet_hetero.evaluation.compare") / "published" / name
    text = table.read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


def _matching(name: str, known: dict[str, str], what: str, matches: Callable[[str, str, str], bool]) -> str:
    found = [key for key, words in known.items() if matches(name, key, words)]
    if len(found) != 1:
        raise SettingsError(
            f"--paper: the {what} '{name}' of your data is none of the paper's: {', '.join(known)} (of BraTS). "
            "Published results can stand only beside results on the same modalities and regions; leave --paper out."
        )
    return found[0]


def _is_modality(name: str, key: str, words: str) -> bool:
    return re.sub(r"[^a-z0-9]", "", name.lower()) in words.split()


def _is_region(name: str, key: str, word: str) -> bool:
    # "non-enhancing" and "necrotic core" are labels, not the paper's regions.
    return name.upper() == key or (word in name.lower() and not re.search("non|necro", name.lower()))
