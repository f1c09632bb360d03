"""What the files of all cases say of single ones: ``volumes.csv``, ``modalities.json`` and so on.

A case's entries are made where it is predicted and may be written elsewhere: cases of many machines are entered by one
process, many at a time, since each file is replaced as a whole.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.inference.output.modality_record import write_records
from nnunet_hetero.inference.output.run_record import record_cases, record_failures
from nnunet_hetero.inference.output.volumes import Row, write_rows


@dataclass(frozen=True)
class CaseEntry:
    """What is entered of one case; plain values only, so that it can be sent.

    Args:
        folder: The output folder.
        name: Of the case's files.
        failure: Why it has no result; then nothing else is entered. None also takes it off the list of failures.
        record: Its entry in ``modalities.json``; None makes none.
        rows: Its rows, by the table's file below the output folder.
        run: What made it, see `describe_run`; None makes no entry in ``run.json``.
        measured: What ``run.json`` says of the case itself.
    """

    folder: str
    name: str
    failure: Failure | None = None
    record: dict | None = None
    rows: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    run: dict | None = None
    measured: Mapping[str, Any] = field(default_factory=dict)


Keep = Callable[[Sequence[CaseEntry]], None]
"""What is done with entries: `write_entries`, or whatever gathers them for it."""


def write_entries(entries: Sequence[CaseEntry]) -> None:
    """Enter cases, of one or several output folders; each file is replaced once.

    Raises:
        OSError: If a file cannot be written.
    """
    for folder in dict.fromkeys(entry.folder for entry in entries):
        _write_into(Path(folder), [entry for entry in entries if entry.folder == folder])


def _write_into(folder: Path, entries: Sequence[CaseEntry]) -> None:
    done = [entry for entry in entries if entry.failure is None]
    tables: dict[str, dict[str, tuple[Sequence[str], Sequence[Row]]]] = {}
    for entry in done:
        used = entry.record["used"] if entry.record is not None else ()
        for table, rows in entry.rows.items():
            tables.setdefault(table, {})[entry.name] = (used, rows)
    for table, of_cases in tables.items():
        write_rows(folder / table, of_cases)
    records = {entry.name: entry.record for entry in done if entry.record is not None}
    if records:
        write_records(folder, records)
    cases = [(entry.name, entry.run, entry.measured) for entry in done if entry.run is not None]
    if cases:
        record_cases(folder, cases)
    record_failures(folder, {entry.name: entry.failure for entry in entries})


class HeldEntries:
    """Gathers entries and writes them together, so that many cases do not each replace files that grow with all.

    Args:
        write: See `write_entries`.
        seconds: Between two times of writing; more where the writing itself takes long.
    """

    _SHARE = 0.02  # of the time that may go into writing

    def __init__(self, write: Keep = write_entries, seconds: float = 2.0):
        self.write = write
        self.seconds = seconds
        self._held: list[CaseEntry] = []
        self._next = time.monotonic() + seconds

    def add(self, entries: Sequence[CaseEntry]) -> None:
        """Take some; they, and what is held, are written if it is time."""
        self._held += entries
        if time.monotonic() >= self._next:
            self.flush()

    def flush(self) -> None:
        """Write what is held."""
        start = time.monotonic()
        if self._held:
            self.write(self._held)
            self._held = []
        end = time.monotonic()
        self._next = end + max(self.seconds, (end - start) / self._SHARE)
