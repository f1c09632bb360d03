"""The output folder before the first case: whether it may be used, what is done in it, and nnU-Net's own files."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nnunet_hetero.cases.find import Case
from nnunet_hetero.inference.earlier_run import EarlierRun, MadeFrom, files_of_cases, say_why_again
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.output.case_writer import COMPLETED_FOLDER, UNCERTAINTY_FOLDER, CaseWriter
from nnunet_hetero.io.atomic_files import alone_in, clear_drafts, locked, replace_text
from nnunet_hetero.io.documents import Document
from nnunet_hetero.io.places import require_apart, require_new_names, require_no_model_or_data_set
from nnunet_hetero.reliability.calibration_file import FILE_NAME as CALIBRATION_NAME

ARGUMENTS_NAME = "predict_from_raw_data_args.json"

BESIDE = Document(dict[str, Any], "what nnU-Net writes beside its predictions", "Predict the cases again.")
"""It is written anew by every run: a damaged one is put aside."""


def still_to_do(
    cases: Sequence[Case], outputs: Sequence[str | None], model: LoadedModel, writer: CaseWriter
) -> tuple[list[Case], list[str | None]]:
    """The cases that an earlier run has not finished, or from other files, by another model or other settings.

    Args:
        cases: All cases.
        outputs: Path of each case's files without ending; None is never done.
        model: As it is to predict.
        writer: Knows what is asked.
    """
    made_from = MadeFrom(model)
    folders = {os.path.dirname(output) or os.curdir for output in outputs if output is not None}
    earlier = {folder: EarlierRun(folder, writer) for folder in folders}
    todo, reasons = [], []
    for case, output in zip(cases, outputs, strict=True):
        folder, name = os.path.split(output or "")
        why = "" if output is None else earlier[folder or os.curdir].why_again(name, made_from(case))
        if why is not None:
            todo.append((case, output))
        if why:
            reasons.append((case.name, why))
    for folder in folders:
        clear_drafts(folder)
    print(f"{len(cases) - len(todo)} of them are predicted already.")
    say_why_again(reasons)
    return [case for case, _ in todo], [output for _, output in todo]


def checked_outputs(
    outputs: str | Sequence[str] | None, source: str | os.PathLike | Sequence, cases: Sequence[Case], writer: CaseWriter
) -> Sequence[str | None]:
    """Path of each case's files without ending; None for those that are not written.

    Args:
        outputs: An output folder, or a path for each case; None writes nothing.
        source: Folder, or lists, of inputs.
        cases: All cases, of all parts.
        writer: Knows the names of what is written.

    Raises:
        SettingsError: If outputs would stand among the inputs, or in their place.
    """
    if outputs is None:
        return [None] * len(cases)
    paths = [os.path.join(outputs, case.name) for case in cases] if isinstance(outputs, str) else list(outputs)
    files: list[str] = []
    folders: dict[str, list[str]] = {}
    for path in paths:
        folder, name = os.path.split(path)
        files += [os.path.join(folder, file) for file in writer.expected(name, writer.modalities)]
        folders.setdefault(folder or os.curdir, []).append(name)
    for folder, names in folders.items():
        require_no_model_or_data_set(folder)
        # What an earlier run left of the cases is removed, whatever this one is asked for.
        below = [Path(folder, name) for name in ("", COMPLETED_FOLDER, UNCERTAINTY_FOLDER)]
        require_apart(below, {"-i": source if isinstance(source, str | os.PathLike) else None})
        removed = map(str, files_of_cases(Path(folder), names, writer.preparation.file_ending))
        files += set(removed) - set(map(os.path.normpath, files))
    inputs: list[str] = []
    for case in cases:
        inputs += filter(None, case.files)
    require_new_names(files, inputs)
    return paths


@contextlib.contextmanager
def alone_with(outputs: Sequence[str | None]) -> Iterator[None]:
    """Be the only process that writes these cases; others may write other ones, as parts of a prediction do.

    Args:
        outputs: Path of each case's files without ending; folders that are not there are made. None is not written.

    Raises:
        SettingsError: If another process is at work on one of them.
    """
    names: dict[str, list[str]] = {}
    for output in outputs:
        if output is not None:
            folder, name = os.path.split(output)
            names.setdefault(folder or os.curdir, []).append(name)
    with contextlib.ExitStack() as stack:
        for folder, own in names.items():
            os.makedirs(folder, exist_ok=True)
            stack.enter_context(alone_in(folder, own))
        yield


def tell_of_calibration(model: LoadedModel, folder: str) -> None:
    """Put the calibration that makes the intervals beside the predictions, or say why there are none.

    Args:
        model: The model.
        folder: The output folder.
    """
    file = Path(folder, CALIBRATION_NAME)
    if model.calibration is not None:
        model.calibration.calibration.write(Path(folder))
    else:
        file.unlink(missing_ok=True)
        print(f"There are no intervals of volumes. {model.uncalibrated}", flush=True)


def write_settings(folder: str, arguments: dict[str, Any], dataset_json: dict, plans: dict) -> None:
    """Write what nnU-Net writes beside its predictions, each file as a whole.

    Runs that differ only in which part they are, or in whether they continue, leave each other's arguments in place.
    """
    os.makedirs(folder, exist_ok=True)
    arguments = json.loads(json.dumps(arguments, default=str))
    files = {"dataset.json": dataset_json, "plans.json": plans, ARGUMENTS_NAME: arguments}
    own = dict.fromkeys(("overwrite", "part_id"))
    with locked(folder):
        for name, content in files.items():
            file = Path(folder, name)
            before = BESIDE.or_aside(file)
            if name == ARGUMENTS_NAME and before is not None and before | own == content | own:
                continue
            text = json.dumps(content, sort_keys=name == ARGUMENTS_NAME, indent=4)
            if before is None or json.dumps(before, indent=4) != text:
                replace_text(file, text)
