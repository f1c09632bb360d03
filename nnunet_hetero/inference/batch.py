"""Many cases, one after the other: predict, write in the background, keep the books of what is done and what failed.

A case's files appear together when all are written, its segmentation last. So the segmentation tells that the case is
whole, and a run that was stopped at any moment can be continued.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from nnunetv2.utilities.helpers import empty_cache

from nnunet_hetero.cases.oriented_reader import as_stored
from nnunet_hetero.cases.prepare import Failure
from nnunet_hetero.errors import naming_the_case
from nnunet_hetero.inference.earlier_run import MADE_FROM, forget
from nnunet_hetero.inference.engine.case_result import CasePrediction
from nnunet_hetero.inference.output.books import CaseEntry, Keep, write_entries
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.output.modality_record import of_orientation
from nnunet_hetero.inference.output.run_record import STATEMENTS, PeakMemory
from nnunet_hetero.inference.output.volumes import Row
from nnunet_hetero.io.atomic_files import Unfinished
from nnunet_hetero.io.processes import Workers, in_words
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.reliability.input_verdict import warning


@dataclass(frozen=True)
class BatchItem:
    """One preprocessed case.

    Args:
        name: Case identifier.
        data: The network's input, ``(M, *spatial)``.
        properties: What nnU-Net's export needs.
        output: Path of its files without ending; None returns the result instead.
        record: Its entry in ``modalities.json``, None if the case came from no files.
        seconds: How long each step took.
        made_from: Its files and the settings; None if the case came from no files.
        statements: What its intervals rest on, see `CaseWriter.statements`, once it is predicted.
    """

    name: str
    data: torch.Tensor
    properties: dict
    output: str | None
    record: dict | None = None
    seconds: dict[str, float] | None = None
    made_from: Provenance | None = None
    statements: dict[str, Any] | None = None

    @classmethod
    def of(cls, item: dict[str, Any]) -> BatchItem:
        """From what a data iterator of nnU-Net gives, or ours, which adds the rest."""
        data, output = item["data"], item["ofile"]
        if isinstance(data, str):  # nnU-Net hands large arrays over as files
            file, data = data, torch.from_numpy(np.load(data))
            os.remove(file)
        name = item.get("name") or ("" if output is None else os.path.basename(output))
        seconds = {"preprocessing": item["seconds"]} if "seconds" in item else {}
        return cls(name, data, item["data_properties"], output, item.get("record"), seconds, item.get("made_from"))

    @property
    def folder(self) -> str:
        """Output folder, the current one without an output."""
        return os.path.dirname(self.output or "") or os.curdir

    @property
    def file_name(self) -> str:
        """Name of its files without ending; a list of output files need not name them like the case.

        Without an output it is empty.
        """
        return os.path.basename(self.output or "")


class Batch:
    """The cases of one call. Leaving its context ends the background processes.

    Args:
        predict: From data, properties and name of a preprocessed case to its prediction.
        device: Where that happens.
        writer: Writes.
        run: What ``run.json`` says of this call, see `describe_run`; None keeps no such record.
        num_processes: Background processes for writing; 0 writes in this process.
        keep: What is done with the cases' entries in the files of all cases.

    Attributes:
        failed: Reason by case for those that have no result.
    """

    def __init__(
        self,
        predict: Callable[[torch.Tensor, dict, str], CasePrediction],
        device: torch.device,
        writer: CaseWriter,
        run: dict | None,
        num_processes: int,
        keep: Keep = write_entries,
    ):
        self.predict = predict
        self.device = device
        self.writer = writer
        self.run = run
        self.keep = keep
        self.failed: dict[str, str] = {}
        self.results: list = []
        self._workers = Workers(num_processes)
        self._open: list[Unfinished] = []

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, *exception: Any) -> None:
        self._workers.__exit__(*exception)
        for unfinished in self._open:
            unfinished.drop()

    def add(self, item: BatchItem) -> None:
        """Predict one case and hand it over for writing.

        A case without an output file has nobody to tell of a failure but the caller, so its errors are raised.
        """
        while self._workers.oldest_is_done():
            self._take()
        memory = PeakMemory(self.device)
        memory.start()
        start = time.perf_counter()
        try:
            prediction = self.predict(item.data, item.properties, item.name)
        except Exception as error:
            if item.output is None:
                raise
            self.fail(item.name, item.output, Failure("predicting", in_words(error)))
            empty_cache(self.device)
            return
        seconds = {**(item.seconds or {}), "predicting": time.perf_counter() - start}
        if doubt := warning(item.name, prediction.inputs):
            print(f"WARNING: {doubt}", flush=True)
        # The input is not needed any more, and may be large.
        statements = self.writer.statements(prediction, item.properties)
        item = replace(item, data=torch.empty(0), seconds=seconds, statements=statements)
        if item.output is None:
            self._workers.submit((item, None, 0), _result, prediction.logits, item.properties, self.writer)
        else:
            self._write(item, item.output, prediction, memory.read())
        while len(self._workers) > self._workers.num_processes:
            self._take()

    def finish(self) -> list:
        """Wait until all is written.

        Returns:
            One entry per case in their order: the result, or None for a case with an output file.
        """
        while self._workers:
            self._take()
        return self.results

    def fail(self, case: str, output: str | None, failure: Failure) -> None:
        """Tell of a case that has no result, now and in ``failed.json``."""
        print(f"Left out: {case}, {failure.step}: {failure.reason}", flush=True)
        self.failed[case] = naming_the_case(case, failure.reason)
        if output is not None:
            folder, name = os.path.split(output)
            try:
                self.keep([CaseEntry(folder or os.curdir, name, failure)])
            except OSError as error:  # a full disk; the other cases go on
                print(f"failed.json could not be written: {error}", flush=True)

    def _write(self, item: BatchItem, output: str, prediction: CasePrediction, peak_memory: int | None) -> None:
        try:
            unfinished = Unfinished(output)
        except OSError as error:
            self.fail(item.name, output, Failure("exporting", in_words(error)))
            return
        self._open.append(unfinished)
        self._workers.submit(
            (item, unfinished, peak_memory),
            self.writer.write,
            prediction,
            item.properties,
            unfinished.folder,
            item.file_name,
        )

    def _take(self) -> None:
        (item, unfinished, peak_memory), outcome = self._workers.pop()
        if item.output is None:
            if outcome.error:
                raise RuntimeError(f"The export failed: {outcome.error}")
            self.results.append(outcome.result)
            return
        error = outcome.error
        if error is None:
            measured = {
                "seconds": {
                    step: round(value, 3) for step, value in (item.seconds | {"exporting": outcome.seconds}).items()
                },
                "peak_memory_bytes": peak_memory,
            }
            try:
                unfinished.publish(
                    self.writer.segmentation(item.file_name),
                    lambda: self._keep_books(item, measured, outcome.result),
                    checked=True,
                )
            except OSError as reason:  # most likely the disk is full
                error = in_words(reason)
                with contextlib.suppress(OSError):
                    forget([item.output], self.writer)  # some of its files may be in place
        unfinished.drop()
        self._open.remove(unfinished)
        if error is not None:
            self.fail(item.name, item.output, Failure("exporting", error))
            return
        self.results.append(None)

    def _keep_books(self, item: BatchItem, measured: dict[str, Any], rows: dict[str, list[Row]]) -> None:
        if item.record is not None:
            measured = {"modalities": item.record["used"], **of_orientation(item.record), **measured}
        if item.made_from is not None:
            measured = {**measured, MADE_FROM: item.made_from.to_json()}
        if item.statements is not None:
            measured = {**measured, STATEMENTS: item.statements}
        self.keep([CaseEntry(item.folder, item.file_name, None, item.record, rows, self.run, measured)])


def _result(logits: np.ndarray, properties: dict, writer: CaseWriter) -> Any:
    found = convert_predicted_logits_to_segmentation_with_correct_shape(
        logits,
        writer.preparation.plans_manager,
        writer.preparation.configuration_manager,
        writer.preparation.label_manager,
        properties,
        writer.save_probabilities,
    )
    if writer.save_probabilities:
        return tuple(as_stored(part, properties) for part in found)
    return as_stored(found, properties)
