"""Cases from files, preprocessed, as a prediction loop takes them."""

from __future__ import annotations

from collections.abc import Generator, Sequence

import torch

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.prepare import Failure, prepare_cases
from nnunet_hetero.inference.earlier_run import MadeFrom
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.output.modality_record import modalities_in_words, record


def prepared_items(
    model: LoadedModel, made_from: MadeFrom, cases: Sequence[Case], outputs: Sequence[str | None], num_processes: int
) -> Generator[dict, None, None]:
    """Read, check and preprocess cases, see `prepare_cases`.

    Args:
        model: The model.
        made_from: Of that model.
        cases: The cases.
        outputs: Path of each case's files without ending; None for no files.
        num_processes: Background processes; 0 works in this one.

    Yields:
        What a data iterator of nnU-Net gives (``data``, ``data_properties``, ``ofile``), and ``name``, ``record``,
        ``seconds`` and ``made_from``, see `nnunet_hetero.inference.batch.BatchItem`. Of a case that cannot be used
        ``name``, ``ofile`` and ``failure``.
    """
    # Before a file is read, so that no later change is missed.
    made = list(map(made_from, cases))
    prepared_cases = prepare_cases(cases, model.preparation, model.kept, num_processes)
    for output, own, (case, prepared, seconds) in zip(outputs, made, prepared_cases, strict=True):
        if isinstance(prepared, Failure):
            yield {"name": case.name, "ofile": output, "failure": prepared}
            continue
        entry = record(prepared, model.modalities)
        print(modalities_in_words(case.name, entry), flush=True)
        yield {
            "data": torch.from_numpy(prepared.data),
            "data_properties": prepared.properties,
            "ofile": output,
            "name": case.name,
            "record": entry,
            "seconds": seconds,
            "made_from": own,
        }
