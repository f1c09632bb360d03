"""Which scan of the first folder belongs to which of the second."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.tables import read_rows

_SHOWN = 5  # names in a message


class Pair(NamedTuple):
    """Two scans of a patient, by the names that they were predicted under."""

    before: str
    after: str

    @property
    def name(self) -> str:
        """Of the pair: one name if both are the same."""
        return self.before if self.before == self.after else f"{self.before} → {self.after}"


def pairs_by_name(before: Collection[str], after: Collection[str]) -> tuple[list[Pair], list[str]]:
    """Cases of the same name in both folders, and those that are in one folder only.

    Args:
        before: Names of the cases of the first folder.
        after: Names of the cases of the second one.

    Raises:
        DataError: If no name is in both.
    """
    common = sorted(set(before) & set(after))
    if not common:
        raise DataError(
            f"No case is in both folders: before are {listed(before)}, after are {listed(after)}. Name the pairs in "
            "a table with the columns before and after, and give it as --pairs."
        )
    return [Pair(name, name) for name in common], sorted(set(before) ^ set(after))


def read_pairs(file: Path, before: Collection[str], after: Collection[str]) -> list[Pair]:
    """Pairs from a table with the columns ``before`` and ``after``; a scan may be in several, as a first one often is.

    Args:
        file: ``.csv`` or ``.tsv``.
        before: Names of the cases of the first folder.
        after: Names of the cases of the second one.

    Raises:
        DataError: If the table cannot be read, lacks a column or has no row, or a row names a case that was not
            predicted or repeats another.
    """
    (_, header), *rows = [*read_rows(file)] or [(0, [])]
    lowered = [name.lower() for name in header]
    if lowered.count("before") != 1 or lowered.count("after") != 1:
        raise DataError(f"{file} needs a first row of column names with 'before' and 'after' in it; it has {header}.")
    places = lowered.index("before"), lowered.index("after")
    pairs: list[Pair] = []
    for number, cells in rows:
        if len(cells) != len(header):
            raise DataError(f"{file}, row {number}: {len(cells)} cells, the first row has {len(header)} columns.")
        pair = Pair(*(cells[place] for place in places))
        for flag, case, known in (("--before", pair.before, before), ("--after", pair.after, after)):
            if case not in known:
                raise DataError(
                    f"{file}, row {number}: there is no case '{case}' in the folder of {flag}. In it are "
                    f"{listed(known)}."
                )
        if pair in pairs:
            raise DataError(f"{file}, row {number}: the pair {pair.name} stands there twice. Keep one.")
        pairs.append(pair)
    if not pairs:
        raise DataError(f"{file} has no pair below its first row. Give each pair a row.")
    return pairs


def listed(names: Collection[str]) -> str:
    """A few names, and how many more there are."""
    shown = ", ".join(sorted(names)[:_SHOWN]) or "none"
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown
