"""``dice.csv``: one row per case, subset and region, written as they come, so that an interrupted sweep continues."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from typing import Any, TypedDict

FIELDS = ("case", "subset", "n_modalities", "region", "dice")


class Row(TypedDict):
    """One result; ``dice`` is 0 to 1, or NaN where it has no value."""

    case: str
    subset: str
    n_modalities: int
    region: str
    dice: float


class ResultFile:
    """Rows in a folder's ``dice.csv``, with the settings that they belong to in ``settings.json``.

    Rows of an earlier run are kept if it had the same settings, and dropped otherwise.

    Args:
        folder: Output folder; made if it is not there.
        settings: What the results depend on; JSON types only.
        regions: Names of the regions; a case and subset are done when they have a row for each.
    """

    def __init__(self, folder: str | os.PathLike, settings: dict[str, Any], regions: list[str]):
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / "dice.csv"
        settings_file = self.folder / "settings.json"
        earlier = json.loads(settings_file.read_text(encoding="utf-8")) if settings_file.is_file() else None
        kept = self._read() if earlier == settings else []
        if earlier is not None and earlier != settings:
            print(f"The results in {self.folder} are of other settings or of an older checkpoint; they are replaced.")
        by_pair: dict[tuple[str, str], list[Row]] = {}
        for row in kept:
            by_pair.setdefault((row["case"], row["subset"]), []).append(row)
        # An interrupted run may have left a case and subset half written.
        self._rows = {pair: rows for pair, rows in by_pair.items() if [row["region"] for row in rows] == regions}
        settings_file.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        with self.file.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, FIELDS)
            writer.writeheader()
            for rows in self._rows.values():
                writer.writerows(rows)

    def _read(self) -> list[Row]:
        if not self.file.is_file():
            return []
        with self.file.open(newline="", encoding="utf-8") as stream:
            return [
                {**row, "n_modalities": int(row["n_modalities"]), "dice": float(row["dice"])}
                for row in csv.DictReader(stream)
                if row["dice"]
            ]

    def __contains__(self, pair: tuple[str, str]) -> bool:
        """Whether a case and subset are done."""
        return pair in self._rows

    def rows_of(self, case: str, subset: str) -> list[Row]:
        """The rows of a case and subset that are done."""
        return self._rows[case, subset]

    def add(self, rows: list[Row]) -> None:
        """Append the rows of one case and subset, all regions at once."""
        self._rows[rows[0]["case"], rows[0]["subset"]] = rows
        with self.file.open("a", newline="", encoding="utf-8") as stream:
            csv.DictWriter(stream, FIELDS).writerows(rows)
