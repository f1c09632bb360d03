"""Volumes of the segmented regions with their intervals: ``volumes.csv`` beside the predictions."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask

from nnunet_hetero.io.atomic_files import locked, replace_text
from nnunet_hetero.io.documents import CsvDocument
from nnunet_hetero.nnunet.extent import MILLILITRES, VoxelSize
from nnunet_hetero.nnunet.regions import Region
from nnunet_hetero.reliability.intervals import Interval

FILE_NAME = "volumes.csv"
PERCENTILES = (2.5, 97.5)

TABLE = CsvDocument({"case": str, "modalities": str}, "a table with a row for each case", "Predict the cases again.")
"""Rows of other cases are kept while they can be read: a damaged table is put aside."""

Row = dict[str, str | float | None]


def region_sizes(label_map: np.ndarray, regions: Mapping[str, Region], voxel: VoxelSize) -> dict[str, float]:
    """Size of each region in the unit of the voxel's; the number of pixels if nobody knows how large they are.

    Args:
        label_map: On the case's own grid.
        regions: Label values by name.
        voxel: Of that grid.
    """
    size = 1.0 if voxel.unit is None else voxel.size
    return {
        name: float(np.count_nonzero(region_or_label_to_mask(label_map, region))) * size
        for name, region in regions.items()
    }


def enhancing_ratio(volumes: Mapping[str, float]) -> float | None:
    """Enhancing tumour as a share of the whole tumour, by the regions' names; None without such regions or a tumour."""

    def volume_of(word: str) -> float | None:
        # "non-enhancing" is another thing.
        names = [name for name in volumes if word in name.lower() and "non" not in name.lower()]
        return volumes[names[0]] if len(names) == 1 else None

    enhancing, whole = volume_of("enhancing"), volume_of("whole")
    return enhancing / whole if enhancing is not None and whole else None


def volumes_row(
    sizes: Mapping[str, float],
    draws: int,
    unit: str | None = MILLILITRES,
    intervals: Mapping[str, Interval] | None = None,
    level: float | None = None,
) -> Row:
    """The numbers of one case, by column.

    Args:
        sizes: Of the exported segmentation by region, see `region_sizes`.
        draws: Number of draws.
        unit: Of the sizes; None if nobody knows the size of a pixel.
        intervals: By region; None if the model has no calibration.
        level: Of the intervals.

    Returns:
        Per region ``NAME_ml`` and, with a calibration, ``NAME_ml_low`` and ``NAME_ml_high``; of a 2D image ``NAME_mm2``
        and so on; without a unit the columns of a volume are there, and empty. With a calibration also
        ``interval_level``, ``interval_cases`` (patients that the intervals rest on) and ``interval_note`` (why they are
        empty, if they are).
    """
    row: Row = {"draws": draws}
    for name, size in sizes.items():
        column = f"{plain_name(name)}_{unit or MILLILITRES}"
        row[column] = None if unit is None else size
        if intervals is not None:
            limits = limits_of(intervals[name], size)
            row |= zip((f"{column}_low", f"{column}_high"), limits, strict=True)
    if intervals is not None:
        row["interval_level"] = level
        row["interval_cases"] = min(interval.patients for interval in intervals.values())
        row["interval_note"] = next((one.reason for one in intervals.values() if one.reason), None)
    ratio = enhancing_ratio(sizes)
    return row if ratio is None and not _has_ratio(sizes) else {**row, "enhancing_to_whole": ratio}


def limits_of(interval: Interval | None, size: float) -> tuple[float | None, float | None]:
    """The limits of an interval, made wider if need be, so that the size itself lies between them.

    It is that of the exported segmentation, of all folds together; the limits rest on those of the network's grid.

    Args:
        interval: None for no interval.
        size: Of the exported segmentation.
    """
    if interval is None or interval.low is None or interval.high is None:
        return None, None
    return min(interval.low, size), max(interval.high, size)


def spread_row(regions: Iterable[str], draws: np.ndarray, unit: str | None) -> Row:
    """How the size of each region varies over single draws, by column ``NAME_ml_draws_p2.5`` and ``_p97.5``.

    The noise of the latents is independent from voxel to voxel and averages out in a volume: this is no interval that
    the true volume lies in.

    Args:
        regions: Names of the regions.
        draws: Sizes, ``(draws, R)``.
        unit: Of the sizes; None if nobody knows the size of a pixel, which leaves the columns empty.
    """
    row: Row = {}
    for name, sizes in zip(regions, draws.T, strict=True):
        for level in PERCENTILES:
            column = f"{plain_name(name)}_{unit or MILLILITRES}_draws_p{level}"
            row[column] = None if unit is None else float(np.percentile(sizes, level))
    return row


def _has_ratio(volumes: Mapping[str, float]) -> bool:
    return enhancing_ratio(dict.fromkeys(volumes, 1.0)) is not None


def write_rows(file: str | os.PathLike, of_cases: Mapping[str, tuple[Sequence[str], Sequence[Row]]]) -> None:
    """Put rows of cases into a CSV file with the columns ``case``, ``modalities`` and those of the rows.

    The file is replaced as a whole under the folder's lock: with ``-num_parts`` several processes write to it. Rows are
    sorted by case; rows of other runs keep their columns.

    Args:
        file: The table.
        of_cases: Case → modalities that it was segmented from, and its rows.
    """
    file = Path(file)
    file.parent.mkdir(exist_ok=True)
    with locked(file.parent):
        every: list[dict[str, str]] = []
        for case, (used, rows) in of_cases.items():
            every += [_cells(case, used, row) for row in rows]
        every += [entry for entry in TABLE.or_aside(file) if entry["case"] not in of_cases]
        if every:
            _write(file, list(dict.fromkeys(chain(*every))), sorted(every, key=itemgetter("case")))


def drop_rows(file: str | os.PathLike, cases: Collection[str]) -> None:
    """Remove the rows of some cases from a CSV file that `write_rows` wrote."""
    file = Path(file)
    if not os.path.lexists(file):
        return
    with locked(file.parent):
        rows = TABLE.or_aside(file)
        others = [row for row in rows if row["case"] not in cases]
        if len(others) < len(rows):
            _write(file, list(rows[0]), others)


def cases_with_row(file: str | os.PathLike) -> set[str]:
    """The cases of a CSV file that `write_rows` wrote; none if it is not there."""
    return {row["case"] for row in TABLE.or_aside(file)}


def _write(file: Path, columns: Sequence[str], rows: Sequence[Mapping[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_text(file, text.getvalue())


def plain_name(name: str) -> str:
    """A region's name as part of a file name or of a column: ``whole tumor`` is ``whole_tumor``."""
    return re.sub(r"[^\w+-]+", "_", name)


def _cells(case: str, used: Sequence[str], row: Row) -> dict[str, str]:
    return {"case": case, "modalities": "+".join(used), **{column: _text(value) for column, value in row.items()}}


def _text(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
