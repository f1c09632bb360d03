"""``series.csv``: the proposal as a table, which the user may correct; what he gives back is taken as given."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.files.sources import parts_of
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.proposal.verdict import GIVEN
from nnunet_hetero.intake.series import Series, by_case
from nnunet_hetero.io.atomic_files import replace_text
from nnunet_hetero.io.tables import read_table
from nnunet_hetero.modalities import Modalities

COLUMNS = ("case", "source", "modality", "may_be", "confidence", "why")
NEEDED = ("case", "source", "modality")

_JOINT = "|"


def write_series(file: Path, series: Sequence[Series]) -> None:
    """Write the table, as a whole."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in series:
        writer.writerow([one.case, one.source, one.modality, _JOINT.join(one.may_be), one.confidence, one.why])
    file.parent.mkdir(parents=True, exist_ok=True)
    replace_text(file, stream.getvalue())


def read_series(file: Path, folder: Path, modalities: Modalities) -> list[Series]:
    """Read a table that the user has looked at; every row is ``given``, whatever it said before.

    What he leaves empty is not used. What it could be stays known, so that he can be told.

    Args:
        file: As `write_series` wrote it, perhaps changed; with commas or semicolons. Needed are the columns ``case``,
            ``source`` and ``modality``; an empty modality means that the image is not used.
        folder: The input folder that the sources lie in.
        modalities: The model's.

    Raises:
        DataError: If it cannot be read, a source is not in the folder or stands in two rows, a modality is unknown or
            twice in a case, the folder has images that no row names, or no image is used.
    """
    table = read_table(file, "source", COLUMNS)
    lacking = [name for name in NEEDED if name not in table.columns]
    if lacking:
        raise DataError(f"{file} has no column '{lacking[0]}'. Expected are {', '.join(NEEDED)}.")
    found = {row.source: row for row in find_series(folder, modalities)}
    series = []
    for number, row in table.rows:
        series.append(_checked(row, f"{file}, row {number}", folder, found, modalities))
    _require_one_each(file, series)
    unnamed = sorted(found.keys() - {row.source for row in series})
    if unnamed:
        raise DataError(
            f"{file} has no row for {unnamed[0]}"
            + (f" and {len(unnamed) - 1} more image(s) of {folder}" if len(unnamed) > 1 else f", which is in {folder}")
            + ". Add a row for each; its modality stays empty if the image is not to be used."
        )
    if not any(row.is_used for row in series):
        raise DataError(f"{file} uses no image: the column modality is empty in each row. Write what the images are.")
    return series


def _checked(
    row: Mapping[str, str], where: str, folder: Path, found: Mapping[str, Series], modalities: Modalities
) -> Series:
    source, case = row["source"], row["case"]
    if not case or case in (".", "..") or set(case) & set("/\\"):
        raise DataError(f"{where}: '{case}' is no name of a case. Expected: a name without / and \\.")
    place = PurePosixPath(parts_of(source)[0])
    if place.is_absolute() or ".." in place.parts:
        raise DataError(f"{where}: the source {source} leaves the input folder {folder}. Give a path in it.")
    if source not in found:
        raise DataError(
            f"{where}: the source {source} is not in {folder}. Is it the right input folder, or has the file been "
            "moved?"
        )
    try:
        modality = modalities.names[modalities.index(row["modality"])] if row["modality"] else ""
    except SettingsError as error:
        raise DataError(f"{where}: {error}") from error
    proposed = found[source]
    may_be = () if modality else proposed.may_be
    own = proposed.case if proposed.case != case else ""
    return Series(case, source, modality, GIVEN, f"given; proposed was: {proposed.why}", may_be, own)


def _require_one_each(file: Path, series: Sequence[Series]) -> None:
    for case, rows in by_case(series).items():
        first: dict[str, Series] = {}
        for row in rows:
            if row.modality in first:
                raise DataError(
                    f"{file}: case '{case}' has two rows for {row.modality}: {first[row.modality].source} and "
                    f"{row.source}. Leave the modality of one of them empty."
                )
            if row.modality:
                first[row.modality] = row
