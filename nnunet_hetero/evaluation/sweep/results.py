"""``metrics.csv`` and ``completion.csv``: rows written as they come, so that an interrupted sweep continues."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

METRICS_FILE, COMPLETION_FILE = "metrics.csv", "completion.csv"
COMPLETION_COLUMNS = ("psnr", "ssim")
_NAMES = ("case", "subset", "n_modalities")
"""Columns that both files begin with."""

Row = dict[str, Any]
"""One result by column; numbers are NaN where they have no value, and an empty cell in the file."""
Pair = tuple[str, str]
"""Case and subset, e.g. ``("BRATS_012", "T1+FLAIR")``."""


class ResultFiles:
    """Rows in a folder's CSV files, with the settings that they belong to in ``settings.json``.

    Rows of an earlier run are kept if it had the same settings, and dropped otherwise. A case and subset are done when
    ``metrics.csv`` has a row for each region, so these rows are written last.

    Args:
        folder: Output folder; made if it is not there.
        settings: What the results depend on; JSON types only.
        regions: Names of the regions.
        columns: Of the scores in ``metrics.csv``.
        completion: Whether there is a ``completion.csv``.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        settings: dict[str, Any],
        regions: Sequence[str],
        columns: Sequence[str],
        completion: bool = False,
    ):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        settings_file = self.folder / "settings.json"
        earlier = json.loads(settings_file.read_text(encoding="utf-8")) if settings_file.is_file() else None
        if earlier is not None and earlier != settings:
            print(f"The results in {self.folder} are of other settings or of an older checkpoint; they are replaced.")
        keep = earlier == settings
        # They are of all rows, and written when those are there.
        for name in ("summary.json", "table.md"):
            (self.folder / name).unlink(missing_ok=True)
        settings_file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        # An interrupted run may have left a case and subset half written.
        self._metrics = _Table(
            self.folder / METRICS_FILE,
            (*_NAMES, "region", *columns),
            keep,
            lambda _, rows: [row["region"] for row in rows] == list(regions),
        )
        self._completion = None
        if completion:
            self._completion = _Table(
                self.folder / COMPLETION_FILE,
                (*_NAMES, "modality", "tissue", *COMPLETION_COLUMNS),
                keep,
                lambda pair, _: pair in self,
            )
        else:
            (self.folder / COMPLETION_FILE).unlink(missing_ok=True)

    def __contains__(self, pair: Pair) -> bool:
        """Whether a case and subset are done."""
        return pair in self._metrics.rows

    def metrics_of(self, pair: Pair) -> list[Row]:
        """The rows of ``metrics.csv`` of a case and subset that are done."""
        return self._metrics.rows[pair]

    def completion_of(self, pair: Pair) -> list[Row]:
        """The rows of ``completion.csv`` of a case and subset that are done."""
        return self._completion.rows.get(pair, []) if self._completion else []

    def add(self, metrics: Sequence[Row], completion: Sequence[Row] = ()) -> None:
        """Append the rows of one case and subset, those of all regions at once."""
        if self._completion and completion:
            self._completion.add(completion)
        self._metrics.add(metrics)


class _Table:
    """A CSV file whose rows come in blocks, one for each case and subset."""

    def __init__(self, file: Path, columns: Sequence[str], keep: bool, is_whole: Callable[[Pair, list[Row]], bool]):
        self.file = file
        self.columns = list(columns)
        self.rows: dict[Pair, list[Row]] = {}
        for row in self._read() if keep else ():
            self.rows.setdefault(_pair(row), []).append(row)
        self.rows = {pair: rows for pair, rows in self.rows.items() if is_whole(pair, rows)}
        with self.file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self.columns, lineterminator="\n")
            writer.writeheader()
            for rows in self.rows.values():
                writer.writerows(map(_as_text, rows))

    def _read(self) -> list[Row]:
        if not self.file.is_file():
            return []
        # A row without its line's end was cut off, perhaps within a number.
        lines = [line for line in self.file.open(encoding="utf-8", newline="") if line.endswith("\n")]
        reader = csv.DictReader(lines)
        return [_from_text(row) for row in reader] if reader.fieldnames == self.columns else []

    def add(self, rows: Sequence[Row]) -> None:
        self.rows[_pair(rows[0])] = list(rows)
        with self.file.open("a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, self.columns, lineterminator="\n").writerows(map(_as_text, rows))


def _pair(row: Row) -> Pair:
    return row["case"], row["subset"]


def _as_text(row: Row) -> Row:
    return {key: "" if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


_TEXTS = ("case", "subset", "region", "modality", "tissue")


def _from_text(row: dict[str, str]) -> Row:
    read = {key: value if key in _TEXTS else float(value or "nan") for key, value in row.items()}
    return {**read, "n_modalities": int(read["n_modalities"])}


def means_over_cases(rows: Iterable[Row], keys: Sequence[str], columns: Sequence[str]) -> list[Row]:
    """Means of rows with the same keys, in the order of their first appearance; only finite numbers count.

    Args:
        rows: From a file.
        keys: Columns that tell the groups apart.
        columns: Columns to average; NaN if no row has a value.
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    return [
        dict(zip(keys, group, strict=True)) | {column: mean([row[column] for row in own]) for column in columns}
        for group, own in groups.items()
    ]


def mean(numbers: Iterable[float]) -> float:
    """Mean of the finite ones; NaN if there is none."""
    known = [number for number in numbers if math.isfinite(number)]
    return math.fsum(known) / len(known) if known else math.nan
