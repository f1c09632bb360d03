"""Tables that users write: CSV as spreadsheets save it, and TSV; errors name the row."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

from nnunet_hetero.errors import DataError
from nnunet_hetero.io.documents import ProblemError, read_text


@dataclass(frozen=True)
class Table:
    """A table with column names.

    Args:
        columns: Their names.
        rows: Number of each row in the file, and its cells by column.
    """

    columns: list[str]
    rows: list[tuple[int, dict[str, str]]]


def read_table(file: Path, key: str, known: Collection[str] = ()) -> Table:
    """Read a table whose first row names the columns.

    Args:
        file: With commas, semicolons or tabs.
        key: Column that must be there, and have another value in each row.
        known: Columns that are found in upper and lower case alike, and then called as here.

    Raises:
        DataError: If the file cannot be read, a column has no name or that of another, a row has too many or too few
            cells, or the key column is not there, empty in a row or the same in two.
    """
    (_, header), *rows = [*read_rows(file)] or [(0, [])]
    as_known = {name.lower(): name for name in (key, *known)}
    columns = [as_known.get(name.lower(), name) for name in header]
    if key not in columns:
        raise DataError(f"{file} needs a first row of column names with '{key}' among them; it has {header}. Mend it.")
    lowered = [name.lower() for name in columns]
    for name in columns:
        if not name or lowered.count(name.lower()) > 1:
            raise DataError(f"{file}: column '{name}' has no name, or another column has the same.")
    found = []
    first: dict[str, int] = {}
    for number, cells in rows:
        if len(cells) != len(columns):
            raise DataError(f"{file}, row {number}: {len(cells)} cells, the first row has {len(columns)} columns.")
        row = dict(zip(columns, cells, strict=True))
        if not row[key]:
            raise DataError(f"{file}, row {number}: the column '{key}' is empty.")
        if row[key] in first:
            raise DataError(f"{file}: {key} '{row[key]}' stands in the rows {first[row[key]]} and {number}. Keep one.")
        first[row[key]] = number
        found.append((number, row))
    return Table(columns, found)


def read_rows(file: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row that is not empty; blanks around cells are dropped.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        text = read_text(file).removeprefix("\ufeff")  # Excel's byte order mark is not part of the first name
    except ProblemError as error:
        raise DataError(f"{file} {error}. Expected: a table with commas, semicolons or tabs, in UTF-8.") from error
    first = text.split("\n", 1)[0]
    delimiter = "\t" if file.suffix == ".tsv" else max(",;\t", key=first.count)  # of equally many the first
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield reader.line_num, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise DataError(f"{file}, row {reader.line_num}: this is no table ({error}).") from error
