"""What an output folder holds of earlier runs: what may be kept, and what goes before a case is done again.

A case is kept only if everything that is asked for is there, and was made from the files that are there now, by the
same model with the same settings. Before a case is done again, all of it goes: should it fail now, nothing of before
can be taken for a result.
"""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.image_files import require_whole as require_whole_image
from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.model.digests import digest_of_json, digest_of_weights
from nnunet_hetero.inference.output.case_writer import (
    COMPLETED_FOLDER,
    NUMBERED_FORMATS,
    TABLES,
    UNCERTAINTY_FOLDER,
    CaseWriter,
)
from nnunet_hetero.inference.output.modality_record import FILE_NAME, RECORD
from nnunet_hetero.inference.output.page_names import INDEX, VIEW_FOLDER, page_name
from nnunet_hetero.inference.output.run_record import FAILED, FAILED_NAME, RUN_NAME, RUNS
from nnunet_hetero.inference.output.volumes import cases_with_row, drop_rows
from nnunet_hetero.io.atomic_files import clear_drafts
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.io.whole import require_whole

MADE_FROM = "made_from"
"""Key of a case in ``run.json``."""


class MadeFrom:
    """What predictions of a model are made from.

    Args:
        model: As it is when it predicts.
    """

    def __init__(self, model: LoadedModel):
        self.model = model
        names = model.modalities.names
        self.settings: dict[str, Any] = {
            "weights": digest_of_weights(model.parameters),
            "plans": digest_of_json(model.preparation.plans_manager.plans),
            "modalities": [names[channel] for channel in model.kept],
            "num_samples": model.sampling.num_samples,
            "seed": model.sampling.seed,
            "step_size": model.tiles.step,
            "mirroring_axes": model.tiles.mirroring_axes,
            "calibration": model.calibration.calibration.sha256 if model.calibration else None,
            "calibrated": model.sampling.calibrated or None,
            "min_dice": model.demands.min_dice,
            "refuse_suspicious": model.demands.refuse_suspicious or None,
        }
        if model.orientation is not None:
            self.settings["orientation"] = model.orientation

    def __call__(self, case: Case) -> Provenance:
        """Of a case, as its files are now."""
        names = self.model.modalities.names
        if len(case.files) != len(names):  # there is something wrong with their names
            return Provenance.of({str(file): file for file in case.files}, self.settings)
        return Provenance.of({names[channel]: case.files[channel] for channel in self.model.kept}, self.settings)


class EarlierRun:
    """What an output folder holds, as it was when this was made.

    Args:
        folder: The output folder; it need not be there.
        writer: Knows what is asked for.
    """

    def __init__(self, folder: str | os.PathLike, writer: CaseWriter):
        self.folder = Path(folder)
        self.writer = writer
        self._entries = RECORD.or_aside(self.folder / FILE_NAME) or {}
        self._runs = (RUNS.or_aside(self.folder / RUN_NAME) or {}).get("cases", {})
        self._rows = {table: cases_with_row(self.folder / table) for table in writer.tables()}

    def why_again(self, name: str, made_from: Provenance) -> str | None:
        """Why a case must be segmented again; empty for one that was never finished, None for one that is done.

        Args:
            name: Of the case's files.
            made_from: What it would be made from now.
        """
        entry = self._entries.get(name)
        files = self.writer.expected(name, entry["absent"]) if entry else []
        rows = all(name in having for having in self._rows.values())
        return self._why(name, made_from, files) if entry and rows else ""

    def why_complete_again(self, name: str, made_from: Provenance) -> str | None:
        """The same for a case that is completed, not segmented."""
        entry = self._entries.get(name)
        files = self.writer.expected_completed(name, entry["absent"]) if entry else []
        return self._why(name, made_from, files) if entry else ""

    def _why(self, name: str, made_from: Provenance, files: Sequence[str]) -> str | None:
        if not all((self.folder / file).is_file() for file in files):
            return ""
        damaged = next(filter(None, (_damage(self.folder / file) for file in files)), None)
        return damaged or made_from.difference(Provenance.from_json(self._runs.get(name, {}).get(MADE_FROM)))


def _damage(file: Path) -> str | None:
    """What is wrong with a file that was whole when it was written; None if it still is."""
    try:
        require_whole(file)
        require_whole_image(file)
    except (OSError, DataError):
        return f"{file} is damaged"
    return None


def say_why_again(reasons: Sequence[tuple[str, str]]) -> None:
    """Tell which cases that an earlier run has finished are done again: one line for each reason.

    Args:
        reasons: Cases and why.
    """
    first: dict[str, str] = {}
    for case, reason in reasons:
        first.setdefault(reason, case)
    for reason, number in Counter(reason for _, reason in reasons).items():
        print(f"{number} case(s) that an earlier run finished are done again, such as {first[reason]}: {reason}.")


def forget(outputs: Iterable[str | os.PathLike], writer: CaseWriter) -> None:
    """Remove all that earlier runs wrote of cases, whatever they were asked for, and what killed ones left.

    The segmentation goes first: it tells that the others are whole.

    Args:
        outputs: Paths of the cases' files without ending.
        writer: Knows the formats.
    """
    cases_in = defaultdict(set)
    for output in outputs:
        folder, case = os.path.split(output)
        cases_in[folder or os.curdir].add(case)
    for folder, cases in cases_in.items():
        for below in ("", COMPLETED_FOLDER, UNCERTAINTY_FOLDER):
            clear_drafts(Path(folder, below))
        for file in files_of_cases(Path(folder), cases, writer.preparation.file_ending):
            file.unlink(missing_ok=True)
        for table in TABLES:
            drop_rows(Path(folder, table), cases)
        _forget_records(Path(folder), cases)


def files_of_cases(folder: Path, cases: Collection[str], ending: str) -> list[Path]:
    """The files of cases in an output folder, of any run, the segmentations first.

    With their pages goes the list of all pages, which has numbers of them.
    """
    image = "|".join(map(re.escape, dict.fromkeys((ending, *NUMBERED_FORMATS))))
    patterns = {
        "": rf"(?P<case>.+)({re.escape(ending)}|\.npz|\.pkl)",
        COMPLETED_FOLDER: rf"(?P<case>.+)_\d{{4}}({image}|\.json)",
        UNCERTAINTY_FOLDER: rf"(?P<case>.+)_(entropy|mutual_information)_.+({image})",
    }
    found = []
    for below, pattern in patterns.items():
        names = sorted(entry.name for entry in _entries(folder / below))
        matches = [re.fullmatch(pattern, name) for name in names]
        found += [folder / below / match[0] for match in matches if match and match["case"] in cases]
    pages = {page_name(case) for case in cases} & {entry.name for entry in _entries(folder / VIEW_FOLDER)}
    found += [folder / VIEW_FOLDER / name for name in (*sorted(pages), *([INDEX] if pages else []))]
    return sorted(found, key=lambda file: not file.name.endswith(ending) or file.parent != folder)


def _entries(folder: Path) -> list[os.DirEntry]:
    try:
        return list(os.scandir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []


def _forget_records(folder: Path, cases: Collection[str]) -> None:
    if not folder.is_dir():
        return

    def without(entries: dict) -> dict:
        return {case: entry for case, entry in entries.items() if case not in cases}

    RECORD.update(folder / FILE_NAME, without)
    RUNS.update(folder / RUN_NAME, lambda runs: runs and {**runs, "cases": without(runs.get("cases", {}))})
    FAILED.update(folder / FAILED_NAME, without)
