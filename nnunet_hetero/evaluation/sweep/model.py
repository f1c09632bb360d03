"""Evaluate a trained model on all subsets of its modalities: validation cases of its folds, or folders of images."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.scores.postprocessing import SmallRegionRemoval
from nnunet_hetero.evaluation.sweep.all_subsets import Evaluation, Scoring, evaluate_subsets, gathered
from nnunet_hetero.evaluation.sweep.groups import (
    CaseGroup,
    cases_of,
    entries_of,
    load_folds,
    predictor_of,
    sources_of,
)
from nnunet_hetero.evaluation.sweep.means import summarise
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.evaluation.sweep.results import COMPLETION_COLUMNS, ResultFiles, means_over_cases
from nnunet_hetero.evaluation.sweep.summary import SUMMARY_FILE, Summary
from nnunet_hetero.evaluation.sweep.table import markdown_table
from nnunet_hetero.evaluation.sweep.training_copies import copies_of_training
from nnunet_hetero.inference.model.model_folder import checked_folds
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.atomic_files import alone_in, replace_json, replace_text
from nnunet_hetero.io.places import require_apart
from nnunet_hetero.modalities import Modalities, Subset, parse_subsets
from nnunet_hetero.nnunet.regions import Region, regions_of


@dataclass(frozen=True)
class EvaluationResult:
    """What `evaluate_model` found and wrote.

    Args:
        folder: Output folder with ``metrics.csv``, ``summary.json`` and ``table.md``.
        evaluation: Rows, skipped subsets and failed cases.
        summary: What is in ``summary.json``.
        table: The content of ``table.md``.
    """

    folder: Path
    evaluation: Evaluation
    summary: Summary
    table: str


def evaluate_model(request: EvaluationRequest, sweep: Sweep | None = None) -> EvaluationResult:
    """Segment cases from every subset of the modalities, measure how good that is, and write the results.

    With folders of images and labels, or on the test set that they share, several folds are an ensemble, as in
    ``nnUNetv2_predict``. Otherwise every fold segments its own validation cases, and the results are pooled.

    Args:
        request: What is evaluated, and how.
        sweep: What segments and measures the cases; None is `sweep_here`.

    Raises:
        SettingsError: If the model, a fold, a modality or a region does not exist, folds have different test cases or
            share validation cases, or the model has no image decoders and completion is asked for.
        DataError: If there are no cases, a label map is missing, or no case could be evaluated.
    """
    ready = look_at(request)
    folds, predictor, cases, subsets = ready.folds, ready.predictor, ready.cases, ready.subsets
    regions, scoring, folder = ready.regions, ready.scoring, ready.folder
    settings = request.settings(folds, predictor.sampling.num_samples)
    folder.mkdir(parents=True, exist_ok=True)
    with alone_in(folder):
        sources = sources_of(request, cases, predictor.modalities)
        results = ResultFiles(folder, settings, list(regions), scoring.metrics.columns, scoring.completion, sources)
        failed = (sweep or sweep_here)(request, predictor, cases, subsets, results, scoring)
        names = [entry.case.name for entry in entries_of(cases)]
        evaluation = gathered(names, [predictor.modalities.label(subset) for subset in subsets], results, failed)
        if not evaluation.rows:
            reasons = "\n".join(f"  {reason}" for reason in evaluation.failed.values())
            raise DataError(f"No case could be evaluated.\n{reasons}".rstrip())
        summary = replace(
            _summary(evaluation, predictor.modalities, regions, subsets, scoring),
            folds=tuple(map(str, folds)),
            case_folds=_folds_of_cases(cases),
            settings=settings,
        )
        table = markdown_table(summary)
        replace_text(folder / "table.md", table)
        replace_json(folder / SUMMARY_FILE, summary.to_json())
    return EvaluationResult(folder, evaluation, summary, table)


class Ready(NamedTuple):
    """What is to be done, when all has been looked at and nothing is written yet.

    Args:
        folds: That are evaluated.
        predictor: Holds those of the first group.
        cases: The groups.
        subsets: Of the modalities.
        regions: By name.
        scoring: How predictions are scored.
        folder: For the results.
    """

    folds: list[int | str]
    predictor: HeteroModalPredictor
    cases: list[CaseGroup]
    subsets: list[Subset]
    regions: dict[str, Region]
    scoring: Scoring
    folder: Path


def look_at(request: EvaluationRequest) -> Ready:
    """Load the model and find the cases, see `evaluate_model`; raises as that does before the first case."""
    folds = checked_folds(Path(request.model_folder), request.folds, request.checkpoint_name)
    groups = request.groups(folds)
    predictor = predictor_of(request)
    load_folds(predictor, request, groups[0])
    regions = regions_of(predictor.label_manager)
    scoring = _scoring(request, predictor, regions)
    subsets = parse_subsets(predictor.modalities, request.subsets, predictor.model.network.required)
    cases = cases_of(request, predictor, groups)
    folder = request.output_folder(folds)
    _require_free(folder, request, cases)
    if request.images is not None:
        _warn_of_trained(cases, predictor.plans_manager.dataset_name, request.progress)
    return Ready(folds, predictor, cases, subsets, regions, scoring, folder)


def _warn_of_trained(cases: Sequence[CaseGroup], dataset: str, progress: bool) -> None:
    """Tell of cases from elsewhere that are none: their images are those of cases that the folds have trained on."""
    copies = copies_of_training(entries_of(cases), dataset, cases[0].folds, progress)
    for name, trained in list(copies.items())[:1]:
        print(
            f"WARNING: {len(copies)} of {len(cases[0].cases)} case(s) have the images of cases that the model was "
            f"trained on, such as '{name}' those of '{trained}'. Their scores say how well the model remembers, not "
            "how well it segments new cases. Leave them out.",
            flush=True,
        )


def _summary(
    evaluation: Evaluation,
    modalities: Modalities,
    regions: Mapping[str, Region],
    subsets: Sequence[Subset],
    scoring: Scoring,
) -> Summary:
    """The means, and what a reader or a comparison must know of the evaluation."""
    summary = summarise(evaluation.rows, modalities, list(regions), scoring.metrics.columns)
    with_results = {entry.subset for entry in summary.subsets}
    return replace(
        summary,
        conventions=scoring.conventions,
        postprocessing=scoring.removal.convention if scoring.removal else None,
        labels={name: list(region) if isinstance(region, tuple) else [region] for name, region in regions.items()},
        subsets_without_results=tuple(text for text in map(modalities.label, subsets) if text not in with_results),
        skipped=evaluation.skipped,
        failed=evaluation.failed,
        completion=_completion_means(evaluation) if scoring.completion else None,
    )


def _require_free(folder: Path, request: EvaluationRequest, cases: Sequence[CaseGroup]) -> None:
    """Refuse an output folder among the images, the labels or the files of the model."""
    require_apart([folder], {"-i": request.images, "-l": request.labels})
    for entry in entries_of(cases):
        for place in {os.path.dirname(file) for file in (*entry.case.files, entry.label) if file is not None}:
            require_apart([folder], {"images or labels": place})
    own = [file for file in (folder / "plans.json", folder / request.checkpoint_name) if file.exists()]
    if own:
        raise SettingsError(f"The output folder {folder} is the model's own: it holds {own[0].name}. Choose another.")


def _scoring(request: EvaluationRequest, predictor: HeteroModalPredictor, regions: Mapping[str, Region]) -> Scoring:
    if request.completion and not predictor.model.network.completes_images:
        raise SettingsError(
            "--completion: the model has no image decoders (its trainer has none, or hetero_modal.image_decoders is "
            "false in its plans). Leave the flag out."
        )
    removal = None if request.remove_small is None else SmallRegionRemoval.of(*request.remove_small, regions)
    return Scoring(request.metrics, removal, request.completion, request.save_predictions)


def sweep_here(
    request: EvaluationRequest,
    predictor: HeteroModalPredictor,
    cases: Sequence[CaseGroup],
    subsets: Sequence[Subset],
    results: ResultFiles,
    scoring: Scoring,
) -> dict[str, str]:
    """Evaluate one group after the other, in this process.

    Args:
        request: See `evaluate_model`.
        predictor: Holds the folds of the first group.
        cases: The groups.
        subsets: See `evaluate_subsets`.
        results: See there.
        scoring: See there.

    Returns:
        By case, why it could not be evaluated.
    """
    failed: dict[str, str] = {}
    total = len(subsets) * sum(len(group.cases) for group in cases)
    with tqdm(total=total, desc="Cases × subsets", disable=not request.progress) as bar:
        for number, group in enumerate(cases):
            if number:
                load_folds(predictor, request, group.folds)
            failed |= evaluate_subsets(predictor.model, group.cases, subsets, results, scoring, bar)
    return failed


Sweep = Callable[
    [EvaluationRequest, HeteroModalPredictor, Sequence[CaseGroup], Sequence[Subset], ResultFiles, Scoring],
    dict[str, str],
]
"""See `sweep_here`."""


def _folds_of_cases(cases: Sequence[CaseGroup]) -> dict[str, list[str]]:
    found = {}
    for group in cases:
        found.update({entry.case.name: list(map(str, group.folds)) for entry in group.cases})
    return found


def _completion_means(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Means over cases of the completed images' scores; None where there is no value."""
    keys = ("subset", "n_modalities", "modality", "tissue")
    means = means_over_cases(evaluation.completion, keys, COMPLETION_COLUMNS)
    return [_with_none(row) for row in means]


def _with_none(row: Mapping[str, Any]) -> dict[str, Any]:
    """JSON has no NaN."""
    return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
