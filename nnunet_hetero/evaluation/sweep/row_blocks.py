"""A CSV file whose rows come in blocks, one for each case and subset, each of them whole or not there."""

from __future__ import annotations

import csv
import io
import itertools
import math
import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.io.atomic_files import replace_bytes

Row = dict[str, Any]
"""One result by column; numbers are NaN where they have no value, and an empty cell in the file."""
Pair = tuple[str, str]
"""Case and subset, e.g. ``("BRATS_012", "T1+FLAIR")``."""

_TEXTS = ("case", "subset", "region", "modality", "tissue")


class RowBlocks:
    """The file, and its rows.

    Args:
        file: Path; the file need not be there.
        columns: Its columns; a file with others counts as empty.

    Attributes:
        rows: By case and subset.
    """

    def __init__(self, file: Path, columns: Sequence[str]):
        self.file = file
        self.columns = list(columns)
        self.rows: dict[Pair, list[Row]] = {}
        for row in self._read():
            self.rows.setdefault((row["case"], row["subset"]), []).append(row)

    def keep(self, wanted: Callable[[Pair, list[Row]], bool]) -> None:
        """Leave only some blocks in the file, which is replaced as a whole if that changes it, and made if need be."""
        self.rows = {pair: rows for pair, rows in self.rows.items() if wanted(pair, rows)}
        content = self._as_text(itertools.chain.from_iterable(self.rows.values()), header=True)
        if not self.file.is_file() or self.file.read_bytes() != content:
            replace_bytes(self.file, content)

    def add(self, rows: Sequence[Row]) -> None:
        """Append a block.

        Raises:
            OSError: If the disk does not take it as a whole; then nothing is appended.
        """
        with self.file.open("ab") as stream:
            before = stream.tell()
            try:
                stream.write(self._as_text(rows, header=False))
                stream.flush()
                os.fsync(stream.fileno())
            except OSError:
                os.truncate(self.file, before)
                raise
        self.rows[rows[0]["case"], rows[0]["subset"]] = list(rows)

    def _read(self) -> list[Row]:
        if not self.file.is_file():
            return []
        # A row without its line's end was cut off, perhaps within a number; bytes that are no text are no rows of ours.
        text = self.file.read_text(encoding="utf-8", errors="replace")
        lines = [line for line in text.splitlines(keepends=True) if line.endswith("\n")]
        reader = csv.DictReader(lines)
        if reader.fieldnames != self.columns:
            return []
        return [row for row in map(_from_text, reader) if row is not None]

    def _as_text(self, rows: Iterable[Row], header: bool) -> bytes:
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, lineterminator="\n")
        if header:
            writer.writeheader()
        writer.writerows(map(_with_blanks, rows))
        return text.getvalue().encode("utf-8")


def _with_blanks(row: Row) -> Row:
    return {key: "" if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}


def _from_text(row: dict[str, str]) -> Row | None:
    """None for a line that is no row: too short, too long, or with a text where a number must be."""
    try:
        read = {key: value if key in _TEXTS else float(value or "nan") for key, value in row.items()}
        if None in row.values():
            return None
        return {**read, "n_modalities": int(read["n_modalities"])}
    except (TypeError, ValueError):
        return None
