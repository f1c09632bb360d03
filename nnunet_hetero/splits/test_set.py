"""Test cases out of nnU-Net's sight: from imagesTr and labelsTr to imagesTs and labelsTs, and back."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from itertools import chain
from pathlib import Path

from typing_extensions import TypedDict

from nnunet_hetero.cases.raw_dataset import MOVED_TEST_CASES as JOURNAL
from nnunet_hetero.cases.raw_dataset import read_dataset_json
from nnunet_hetero.errors import DataError
from nnunet_hetero.io.atomic_files import replace_text
from nnunet_hetero.io.documents import Document


class _Journal(TypedDict):
    finished: bool
    cases: list[str]


MOVED = Document(
    _Journal,
    "the journal of the test cases that 'nnunet_hetero splits' moved to imagesTs",
    "Put it back. Without it nobody can tell which cases in imagesTs were moved there; if you know, move them back to "
    "imagesTr and labelsTr and delete it.",
)

_PLACES = (("imagesTr", "imagesTs"), ("labelsTr", "labelsTs"))


def moved_cases(raw: Path) -> list[str]:
    """Cases that `move_test_cases` has moved out of a dataset.

    Raises:
        DataError: If it was stopped half-way.
    """
    journal = MOVED.read_if_there(raw / JOURNAL) or {}
    if journal and not journal["finished"]:
        raise DataError(
            f"{raw}: an earlier run was stopped while it moved test cases to imagesTs. Bring them back with --undo, "
            "then split again."
        )
    return journal.get("cases", [])


def put_aside_cases(raw: Path) -> list[str]:
    """Cases with images in ``imagesTs`` and a label map in ``labelsTs``, moved there or written by a converter."""
    ending = read_dataset_json(raw)["file_ending"]
    images = {path.name[: -len("_0000") - len(ending)] for path in _files(raw / "imagesTs", ending)}
    return sorted(images & {path.name.removesuffix(ending) for path in _files(raw / "labelsTs", ending)})


def move_test_cases(raw: Path, cases: Sequence[str]) -> None:
    """Move cases to ``imagesTs`` and ``labelsTs``, and count the remaining ones in ``dataset.json``.

    A journal in the dataset's folder, written first, lets `undo_move` bring everything back whatever happens.

    Raises:
        DataError: If a file is in the way, there is no label map, or files cannot be moved.
    """
    dataset_json = read_dataset_json(raw)
    if "dataset" in dataset_json:
        raise DataError(
            f"{raw / 'dataset.json'} lists its files under 'dataset', so they cannot be moved. Use --keep-test, or "
            "take the test cases off that list."
        )
    ending = dataset_json["file_ending"]
    without = [case for case in cases if not (raw / "labelsTr" / f"{case}{ending}").is_file()]
    if without:
        raise DataError(f"Case '{without[0]}' has no label map in {raw / 'labelsTr'}, so it can be no test case.")
    moves = list(chain.from_iterable(_moves(raw, case, ending) for case in cases))
    for _, target in moves:
        if target.exists():
            raise DataError(f"{target} is there already; the test case of that name would replace it. Remove it first.")
    _write_journal(raw, cases, finished=False)
    _move(moves)
    _count_training_cases(raw, ending)
    _write_journal(raw, cases, finished=True)


def undo_move(raw: Path) -> list[str]:
    """Bring back what `move_test_cases` moved, also if it was stopped half-way; returns the cases.

    Raises:
        DataError: If files cannot be moved.
    """
    cases = (MOVED.read_if_there(raw / JOURNAL) or {}).get("cases", [])
    if cases:
        ending = read_dataset_json(raw)["file_ending"]
        moves = chain.from_iterable(_moves(raw, case, ending, back=True) for case in cases)
        _move([(target, source) for source, target in moves])
        _count_training_cases(raw, ending)
        (raw / JOURNAL).unlink()
        for _, folder in _PLACES:
            if (raw / folder).is_dir() and not any((raw / folder).iterdir()):
                (raw / folder).rmdir()
    return cases


def _moves(raw: Path, case: str, ending: str, back: bool = False) -> Iterable[tuple[Path, Path]]:
    """Pairs of places in the training and in the test folders, for the files of a case that are in one of them."""
    for places in _PLACES:
        pattern = f"{_escaped(case)}{'_[0-9][0-9][0-9][0-9]' if places[0] == 'imagesTr' else ''}{ending}"
        for path in sorted((raw / places[back]).glob(pattern)):
            yield raw / places[0] / path.name, raw / places[1] / path.name


def _escaped(name: str) -> str:
    return "".join(f"[{character}]" if character in "[*?" else character for character in name)


def _move(moves: Sequence[tuple[Path, Path]]) -> None:
    for source, target in moves:
        try:
            target.parent.mkdir(exist_ok=True)
            os.replace(source, target)
        except OSError as error:
            raise DataError(
                f"{source} cannot be moved to {target} ({error.strerror}). Mend that, then bring everything back with "
                "--undo."
            ) from error


def _files(folder: Path, ending: str) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return [path for path in found if path.name.endswith(ending) and not path.name.startswith(".")]


def _count_training_cases(raw: Path, ending: str) -> None:
    """nnU-Net refuses a dataset whose ``numTraining`` is not the number of its cases."""
    content = read_dataset_json(raw)
    content["numTraining"] = len(_files(raw / "labelsTr", ending))
    replace_text(raw / "dataset.json", json.dumps(content, indent=4) + "\n")


def _write_journal(raw: Path, cases: Sequence[str], finished: bool) -> None:
    replace_text(raw / JOURNAL, json.dumps({"finished": finished, "cases": list(cases)}, indent=2) + "\n")
