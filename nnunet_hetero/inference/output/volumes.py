"""Volumes of the segmented regions with their spread over the draws: ``volumes.csv`` beside the predictions."""

from __future__ import annotations

import csv
import io
import os
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask

from nnunet_hetero.io.atomic_files import locked, replace_text
from nnunet_hetero.io.documents import CsvDocument
from nnunet_hetero.nnunet.extent import MILLILITRES, VoxelSize
from nnunet_hetero.nnunet.regions import Region

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


def volumes_row(sizes: Mapping[str, float], draws: np.ndarray | None, unit: str | None = MILLILITRES) -> Row:
    """The numbers of one case, by column.

    Args:
        sizes: Of the exported segmentation by region, see `region_sizes`.
        draws: The same per draw and region, ``(draws, R)``; None without draws, which leaves the percentiles empty.
        unit: Of the sizes; None if nobody knows the size of a pixel.

    Returns:
        Per region ``NAME_ml``, ``NAME_ml_p2.5`` and ``NAME_ml_p97.5``; of a 2D image ``NAME_mm2`` and so on; without
        a unit the columns of a volume are there, and empty. The percentiles are those of single draws; the segmentation
        is that of their mean, so for a region that few draws see its volume may lie outside of them.
    """
    limits = None if draws is None or unit is None else np.percentile(draws, PERCENTILES, axis=0)
    row: Row = {"draws": 0 if draws is None else len(draws)}
    for place, (name, size) in enumerate(sizes.items()):
        column = f"{plain_name(name)}_{unit or MILLILITRES}"
        row[column] = None if unit is None else size
        for percentile, level in enumerate(PERCENTILES):
            row[f"{column}_p{level}"] = None if limits is None else float(limits[percentile, place])
    ratio = enhancing_ratio(sizes)
    return row if ratio is None and not _has_ratio(sizes) else {**row, "enhancing_to_whole": ratio}


def _has_ratio(volumes: Mapping[str, float]) -> bool:
    return enhancing_ratio(dict.fromkeys(volumes, 1.0)) is not None


def write_row(file: str | os.PathLike, case: str, used: Sequence[str], row: Row) -> None:
    """Put the row of one case into a CSV file with the columns ``case``, ``modalities`` and those of the row.

    The file is replaced as a whole under the folder's lock: with ``-num_parts`` several processes write to it. Rows are
    sorted by case; rows of other runs keep their columns.
    """
    file = Path(file)
    file.parent.mkdir(exist_ok=True)
    with locked(file.parent):
        rows = {entry["case"]: entry for entry in TABLE.or_aside(file)}
        rows[case] = {"case": case, "modalities": "+".join(used), **{key: _text(value) for key, value in row.items()}}
        columns = list(dict.fromkeys(chain(rows[case], *rows.values())))
        _write(file, columns, [rows[name] for name in sorted(rows)])


def drop_rows(file: str | os.PathLike, cases: Collection[str]) -> None:
    """Remove the rows of some cases from a CSV file that `write_row` wrote."""
    file = Path(file)
    if not os.path.lexists(file):
        return
    with locked(file.parent):
        rows = TABLE.or_aside(file)
        others = [row for row in rows if row["case"] not in cases]
        if len(others) < len(rows):
            _write(file, list(rows[0]), others)


def cases_with_row(file: str | os.PathLike) -> set[str]:
    """The cases of a CSV file that `write_row` wrote; none if it is not there."""
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


def _text(value: str | float | None) -> str:
    if value is None:
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
