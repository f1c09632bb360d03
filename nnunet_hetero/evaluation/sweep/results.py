"""``metrics.csv`` and ``completion.csv``: rows written as they come, so that an interrupted sweep continues."""

from __future__ import annotations

import json
import math
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.evaluation.sweep.row_blocks import Pair, Row, RowBlocks
from nnunet_hetero.io.atomic_files import clear_drafts, replace_json
from nnunet_hetero.io.provenance import Provenance

METRICS_FILE, COMPLETION_FILE, SETTINGS_FILE, SOURCES_FILE = (
    "metrics.csv",
    "completion.csv",
    "settings.json",
    "sources.json",
)
COMPLETION_COLUMNS = ("psnr", "ssim")
OF_ALL_ROWS = ("summary.json", "table.md", "report.html")
"""Files that are written when all rows are there."""
OF_CASES = ("predictions", "snapshots")
"""Folders with files of single cases."""
_NAMES = ("case", "subset", "n_modalities")
"""Columns that both tables begin with."""


class ResultFiles:
    """Rows in a folder's CSV files, with the settings that they belong to in ``settings.json``.

    Rows of an earlier run are kept if it had the same settings, and if the images and the label map of the case are
    those of then (``sources.json``). A case and subset are done when ``metrics.csv`` has a row for each region, so
    these rows are written last.

    Args:
        folder: Output folder; made if it is not there.
        settings: What the results depend on; JSON types only.
        regions: Names of the regions.
        columns: Of the scores in ``metrics.csv``.
        completion: Whether there is a ``completion.csv``.
        sources: What each case is evaluated from; None keeps no such record.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        settings: dict[str, Any],
        regions: Sequence[str],
        columns: Sequence[str],
        completion: bool = False,
        sources: Mapping[str, Provenance] | None = None,
    ):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        clear_drafts(self.folder)
        for name in OF_ALL_ROWS:
            (self.folder / name).unlink(missing_ok=True)
        if not self._has_settings(settings):
            self._drop_all()
        changed = self._changed_cases(sources or {})
        self._metrics = RowBlocks(self.folder / METRICS_FILE, (*_NAMES, "region", *columns))
        self._completion = None
        if completion:
            self._completion = RowBlocks(
                self.folder / COMPLETION_FILE, (*_NAMES, "modality", "tissue", *COMPLETION_COLUMNS)
            )
        whole = _whole_pairs(self._metrics, self._completion, regions)
        for blocks in filter(None, (self._metrics, self._completion)):
            blocks.keep(lambda pair, _: pair in whole and pair[0] not in changed)
        if not completion:
            (self.folder / COMPLETION_FILE).unlink(missing_ok=True)
        # Last: by then no row is there that was made otherwise.
        if sources is not None:
            known = _read_json(self.folder / SOURCES_FILE) or {}
            known.update((case, made.to_json()) for case, made in sources.items())
            replace_json(self.folder / SOURCES_FILE, dict(sorted(known.items())))
        replace_json(self.folder / SETTINGS_FILE, settings)

    def _has_settings(self, settings: dict[str, Any]) -> bool:
        file = self.folder / SETTINGS_FILE
        if not file.is_file():
            return not (self.folder / METRICS_FILE).is_file()
        earlier = _read_json(file)
        if earlier is None:
            print(f"{file} is damaged, so nobody can tell how the results beside it were made; they are replaced.")
        elif earlier != settings:
            print(f"The results in {self.folder} are of other settings or of an older checkpoint; they are replaced.")
        return earlier == settings

    def _drop_all(self) -> None:
        """Nothing of an evaluation by other settings may outlive this one, should it fail."""
        for name in (METRICS_FILE, COMPLETION_FILE, SOURCES_FILE, SETTINGS_FILE):
            (self.folder / name).unlink(missing_ok=True)
        for name in OF_CASES:
            shutil.rmtree(self.folder / name, ignore_errors=True)

    def _changed_cases(self, sources: Mapping[str, Provenance]) -> set[str]:
        if not sources or not (self.folder / METRICS_FILE).is_file():
            return set()
        known = _read_json(self.folder / SOURCES_FILE)
        if known is None:
            print(f"Nothing says which files the results in {self.folder} were made from; they are replaced.")
            return set(sources)
        changed = set()
        for case, made in sources.items():
            reason = made.difference(Provenance.from_json(known.get(case)))
            if reason is not None:
                changed.add(case)
                self._drop_predictions(case)
            if reason is not None and case in known:
                print(f"Case '{case}' is evaluated again: {reason}.")
        return changed

    def _drop_predictions(self, case: str) -> None:
        for file in (self.folder / "predictions").glob("*/*"):
            if file.name.startswith(f"{case}."):
                file.unlink()

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


def _read_json(file: Path) -> dict[str, Any] | None:
    """Content of a file; None if it is not there or damaged."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _whole_pairs(metrics: RowBlocks, completion: RowBlocks | None, regions: Sequence[str]) -> set[Pair]:
    """Cases and subsets all of whose rows are there, whatever a full disk, a kill or an editor has left of a file."""
    whole = {pair for pair, rows in metrics.rows.items() if _regions_of(rows) == list(regions)}
    if completion is None:
        return whole
    having: dict[str, set[str]] = {}
    tissues: set[str] = set()
    for case, subset in whole:
        rows = completion.rows.get((case, subset), [])
        having.setdefault(case, set()).update(subset.split("+"), (row["modality"] for row in rows))
        tissues.update(row["tissue"] for row in rows)
    return {pair for pair in whole if _is_completed(pair, completion, having[pair[0]], tissues)}


def _regions_of(rows: Sequence[Row]) -> list[str]:
    return [row["region"] for row in rows]


def _is_completed(pair: Pair, completion: RowBlocks, having: set[str], tissues: set[str]) -> bool:
    """Whether every modality of a case outside of a subset has a row for each tissue."""
    found = {(row["modality"], row["tissue"]) for row in completion.rows.get(pair, [])}
    wanted = having - set(pair[1].split("+"))
    return {modality for modality, _ in found} == wanted and len(found) == len(wanted) * len(tissues)


def means_over_cases(rows: Iterable[Row], keys: Sequence[str], columns: Sequence[str]) -> list[Row]:
    """Means of rows with the same keys, in the order of their first appearance; only finite numbers count.

    Args:
        rows: From a file.
        keys: Columns that tell the groups apart.
        columns: Columns to average; NaN if no row has a value.

    Examples:
        >>> rows = [{"tissue": "brain", "psnr": 20.0}, {"tissue": "brain", "psnr": 30.0}]
        >>> means_over_cases(rows, ["tissue"], ["psnr"])
        [{'tissue': 'brain', 'psnr': 25.0}]
    """
    groups: dict[tuple, list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    means = []
    for group, own in groups.items():
        found = dict(zip(keys, group, strict=True))
        for column in columns:
            found[column] = mean([row[column] for row in own])
        means.append(found)
    return means


def mean(numbers: Iterable[float]) -> float:
    """Mean of the finite ones; NaN if there is none.

    Examples:
        >>> mean([1.0, math.nan, 3.0])
        2.0
    """
    known = [number for number in numbers if math.isfinite(number)]
    return math.fsum(known) / len(known) if known else math.nan
