"""Evaluation of cases on a cluster."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distributed import Client
from tqdm import tqdm

from nnunet_hetero.cluster.case_jobs import probe_in, with_absolute_files
from nnunet_hetero.cluster.fan_out import FanOut
from nnunet_hetero.cluster.worker_model import ModelRequest, worker_model
from nnunet_hetero.cluster.workplace import Workplace, require_fit_workers
from nnunet_hetero.evaluation.sweep.all_subsets import Scoring, evaluate_subsets
from nnunet_hetero.evaluation.sweep.groups import CaseGroup, load_folds
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase
from nnunet_hetero.evaluation.sweep.model import Sweep
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.evaluation.sweep.results import ResultFiles
from nnunet_hetero.evaluation.sweep.row_blocks import Pair, Row
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.drafts import clear_drafts
from nnunet_hetero.modalities import Subset


@dataclass
class CollectedRows:
    """Rows of one case, for whoever writes the tables.

    Args:
        folder: Of the results, for the files of single cases.
        done: Subsets, by name, that are done already.
        blocks: Rows of ``metrics.csv`` and of ``completion.csv``, of one subset each.
    """

    folder: Path
    done: frozenset[str]
    blocks: list[tuple[Sequence[Row], Sequence[Row]]] = field(default_factory=list)

    def __contains__(self, pair: Pair) -> bool:
        return pair[1] in self.done

    def add(self, metrics: Sequence[Row], completion: Sequence[Row] = ()) -> None:
        """Take the rows of one subset."""
        self.blocks.append((metrics, completion))


def cluster_sweep(client: Client, device: str) -> Sweep:
    """What evaluates cases on a cluster, for `evaluate_model`: a job for each case.

    Args:
        client: Of the cluster.
        device: Of the workers.
    """

    def sweep(
        request: EvaluationRequest,
        predictor: HeteroModalPredictor,
        cases: Sequence[CaseGroup],
        subsets: Sequence[Subset],
        results: ResultFiles,
        scoring: Scoring,
    ) -> dict[str, str]:
        jobs: dict[str, tuple] = {}
        names = [predictor.modalities.label(subset) for subset in subsets]
        with probe_in(results.folder) as probe:
            for number, group in enumerate(cases):
                if number:
                    load_folds(predictor, request, group.folds)
                model = ModelRequest.of(predictor, request.model_folder, group.folds, request.checkpoint_name, device)
                require_fit_workers(client, model.workplace((), probe))
                for entry in group.cases:
                    name = entry.case.name
                    done = frozenset(subset for subset in names if (name, subset) in results)
                    labelled = LabelledCase(with_absolute_files(entry.case), os.path.abspath(entry.label))
                    collected = CollectedRows(results.folder.absolute(), done)
                    jobs[name] = (model, model.workplace(), labelled, tuple(subsets), collected, scoring)
        outcomes = FanOut(client, "evaluate").run(evaluate_one, jobs)
        failed: dict[str, str] = {}
        try:
            for name, outcome in tqdm(outcomes, total=len(jobs), desc="Cases", disable=not request.progress):
                blocks, reason = outcome.result if outcome.error is None else ((), outcome.error)
                for block in blocks:
                    results.add(*block)
                if reason is not None:
                    failed[name] = reason
        finally:
            outcomes.close()
            clear_drafts(results.folder)
        return failed

    return sweep


def evaluate_one(
    request: ModelRequest,
    workplace: Workplace,
    entry: LabelledCase,
    subsets: Sequence[Subset],
    collected: CollectedRows,
    scoring: Scoring,
) -> tuple[list[Any], str | None]:
    """Evaluate a case on a worker.

    Args:
        request: The model.
        workplace: What the worker must find.
        entry: The case, with absolute paths.
        subsets: See `evaluate_subsets`.
        collected: Which of them are done.
        scoring: See there.

    Returns:
        Blocks of rows, see `CollectedRows`, and why the case could not be evaluated.
    """
    own = worker_model(request, workplace)
    with own.on_device, tqdm(disable=True) as bar:
        failed = evaluate_subsets(own.predictor.model, [entry], subsets, collected, scoring, bar)
    return collected.blocks, failed.get(entry.case.name)
