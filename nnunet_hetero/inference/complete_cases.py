"""Completion of many cases without segmenting them."""

from __future__ import annotations

import os
from pathlib import Path

import torch

from nnunet_hetero.cases.find import Case, find_cases
from nnunet_hetero.cases.prepare import Failure, prepare_cases
from nnunet_hetero.cases.preprocess import PreparedCase
from nnunet_hetero.errors import DataError
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.output.modality_record import describe, read_record, record, write_record
from nnunet_hetero.inference.output.run_record import record_failure
from nnunet_hetero.io.atomic_files import Unfinished, clear_drafts
from nnunet_hetero.io.processes import in_words


def complete_cases(
    model: LoadedModel,
    source: str | os.PathLike,
    output: str | os.PathLike,
    overwrite: bool = True,
    num_processes: int = 0,
) -> dict[str, str]:
    """Complete the modalities of all cases of a folder, as prediction with ``--save_completed`` does.

    Args:
        model: Its options say what to complete.
        source: Folder of images named as nnU-Net names them.
        output: Folder to write to: ``completed``, ``modalities.json`` and, if cases failed, ``failed.json``.
        overwrite: Whether to do again what an earlier run has done.
        num_processes: Background processes for preprocessing; 0 does it in this process.

    Returns:
        Why cases failed, by case.

    Raises:
        DataError: If the folder has no case, or no case could be completed.
    """
    cases = find_cases(source, model.modalities, model.preparation.file_ending, model.kept)
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    clear_drafts(output)
    writer = CaseWriter.of_model(model)
    todo = [case for case in cases if overwrite or not _is_done(output, case.name, writer)]
    print(f"{len(cases)} case(s), {len(cases) - len(todo)} of them are completed already.")
    failed: dict[str, str] = {}
    for case, prepared, _ in prepare_cases(todo, model.preparation, model.kept, num_processes):
        failure = prepared if isinstance(prepared, Failure) else _complete(model, writer, case, prepared, output)
        record_failure(output, case.name, failure)
        if failure is not None:
            print(f"Left out: {case.name}, {failure.step}: {failure.reason}", flush=True)
            failed[case.name] = failure.reason
    if todo and len(failed) == len(todo):
        reasons = "\n".join(f"  {reason}" for reason in failed.values())
        raise DataError(f"None of the {len(todo)} case(s) could be completed:\n{reasons}")
    return failed


def _complete(
    model: LoadedModel, writer: CaseWriter, case: Case, prepared: PreparedCase, output: Path
) -> Failure | None:
    entry = record(prepared, model.modalities)
    print(describe(case.name, entry), flush=True)
    unfinished = Unfinished(output / case.name)
    try:
        data = torch.from_numpy(prepared.data)
        found = predict_preprocessed(model, data, case.name, segment=False)
        if found.completed:
            writer.write_completed(found, prepared.properties, unfinished.folder, case.name)
            unfinished.publish(writer.completed(case.name, found.completed[-1]), checked=True)
        else:
            print(f"{case.name}: nothing is missing.")
        write_record(output, case.name, entry)
    except Exception as error:  # the other cases go on
        return Failure("completing", in_words(error))
    finally:
        unfinished.drop()
    return None


def _is_done(output: Path, case: str, writer: CaseWriter) -> bool:
    entry = read_record(output, case)
    if entry is None:
        return False
    return all((output / file).is_file() for file in writer.expected_completed(case, entry["absent"]))
