"""Completion of many cases without segmenting them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from nnunet_hetero.cases.find import Case, find_cases
from nnunet_hetero.cases.prepare import Failure, prepare_cases
from nnunet_hetero.cases.preprocess import PreparedCase
from nnunet_hetero.errors import DataError, SettingsError, naming_the_case
from nnunet_hetero.inference.earlier_run import MADE_FROM, EarlierRun, MadeFrom, forget, say_why_again
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.output.books import CaseEntry, Keep, write_entries
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.output.modality_record import modalities_in_words, of_orientation, record
from nnunet_hetero.inference.output_folder import checked_outputs
from nnunet_hetero.io.atomic_files import Unfinished, alone_in, clear_drafts
from nnunet_hetero.io.processes import in_words

CompleteAll = Callable[[LoadedModel, Sequence[Case], Path, int, dict], dict[str, str]]
"""See `complete_all`."""


def complete_cases(
    model: LoadedModel,
    source: str | os.PathLike,
    output: str | os.PathLike,
    overwrite: bool = True,
    num_processes: int = 0,
    run: dict | None = None,
    all_of: CompleteAll | None = None,
) -> dict[str, str]:
    """Complete the modalities of all cases of a folder, as prediction with ``--save_completed`` does.

    Args:
        model: Its options say what to complete.
        source: Folder of images named as nnU-Net names them.
        output: Folder to write to: ``completed``, ``modalities.json``, ``run.json`` and, if cases failed,
            ``failed.json``.
        overwrite: Whether to do again what an earlier run has done.
        num_processes: Background processes for preprocessing; 0 does it in this process.
        run: What ``run.json`` says of this call, see `describe_run`.
        all_of: What completes those that are to be done; None is `complete_all`, here.

    Returns:
        Why cases failed, by case.

    Raises:
        DataError: If the folder has no case, or no case could be completed.
        SettingsError: If the output folder lies among the inputs, holds segmentations of these cases, or another
            process is at work in it.
    """
    model = dataclasses.replace(model, calibration=None)  # images do not depend on it
    cases = find_cases(source, model.modalities, model.preparation.file_ending, model.kept)
    output = Path(output)
    writer = CaseWriter.of_model(model)
    checked_outputs(str(output), source, cases, writer)
    _refuse_segmentations(output, cases, writer)
    output.mkdir(parents=True, exist_ok=True)
    with alone_in(output):
        todo = cases if overwrite else _still_to_do(cases, output, model, writer)
        print(f"{len(cases)} case(s), {len(cases) - len(todo)} of them are completed already.")
        forget([output / case.name for case in todo], writer)
        failed = (all_of or complete_all)(model, todo, output, num_processes, run or {})
    if todo and len(failed) == len(todo):
        reasons = "\n".join(f"  {reason}" for reason in failed.values())
        raise DataError(f"None of the {len(todo)} case(s) could be completed:\n{reasons}")
    return failed


def _refuse_segmentations(output: Path, cases: Sequence[Case], writer: CaseWriter) -> None:
    """The records beside a segmentation would tell of the completion."""
    names = [writer.segmentation(case.name) for case in cases]
    there = [name for name in names if (output / name).is_file()]
    if there:
        raise SettingsError(
            f"{output} holds segmentations of these cases, e.g. {there[0]}. Complete into another folder, or "
            "segment and complete at once: nnunet_hetero predict --save_completed."
        )


def _still_to_do(cases: Sequence[Case], output: Path, model: LoadedModel, writer: CaseWriter) -> list[Case]:
    clear_drafts(output)
    made_from, earlier = MadeFrom(model), EarlierRun(output, writer)
    why = {case.name: earlier.why_complete_again(case.name, made_from(case)) for case in cases}
    say_why_again([(name, reason) for name, reason in why.items() if reason])
    return [case for case in cases if why[case.name] is not None]


def complete_all(
    model: LoadedModel,
    cases: Sequence[Case],
    output: Path,
    num_processes: int,
    run: dict,
    keep: Keep = write_entries,
) -> dict[str, str]:
    """Complete cases, one after the other, whatever is there of them.

    Args:
        model: See `complete_cases`.
        cases: The cases.
        output: The output folder.
        num_processes: Background processes for preprocessing; 0 does it in this process.
        run: See `complete_cases`.
        keep: What is done with the cases' entries in the files of all cases.

    Returns:
        Why cases failed, by case.
    """
    writer, made_from = CaseWriter.of_model(model), list(map(MadeFrom(model), cases))
    failed: dict[str, str] = {}
    prepared_cases = prepare_cases(cases, model.preparation, model.kept, num_processes)
    with contextlib.closing(prepared_cases):
        for made, (case, prepared, seconds) in zip(made_from, prepared_cases, strict=True):
            measured = {"seconds": {"preprocessing": round(seconds, 3)}, MADE_FROM: made.to_json()}
            entry = CaseEntry(str(output), case.name, run=run, measured=measured)
            failure = (
                prepared if isinstance(prepared, Failure) else _complete(model, writer, entry, prepared, output, keep)
            )
            if failure is not None:
                print(f"Left out: {case.name}, {failure.step}: {failure.reason}", flush=True)
                failed[case.name] = naming_the_case(case.name, failure.reason)
                keep([CaseEntry(str(output), case.name, failure)])
    return failed


def _complete(
    model: LoadedModel, writer: CaseWriter, entry: CaseEntry, prepared: PreparedCase, output: Path, keep: Keep
) -> Failure | None:
    case, of_modalities = entry.name, record(prepared, model.modalities)
    print(modalities_in_words(case, of_modalities), flush=True)
    unfinished = None
    try:
        unfinished = Unfinished(output / case)
        found = predict_preprocessed(model, torch.from_numpy(prepared.data), case, segment=False)
        if found.completed:
            writer.write_completed(found, prepared.properties, unfinished.folder, case)
            unfinished.publish(writer.completed(case, found.completed[-1]), checked=True)
        else:
            print(f"{case}: nothing is missing.")
        measured = {**of_orientation(of_modalities), **entry.measured}
        keep([replace(entry, record=of_modalities, measured=measured)])
    except Exception as error:  # the other cases go on
        with contextlib.suppress(OSError):
            forget([output / case], writer)  # some of its files may be in place
        return Failure("completing", in_words(error))
    finally:
        if unfinished is not None:
            unfinished.drop()
    return None
