"""Evaluate a trained model on all subsets of its modalities: validation cases of its folds, or folders of images."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from nnunet_hetero import __version__
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.scores.postprocessing import SmallRegionRemoval
from nnunet_hetero.evaluation.sweep.all_subsets import Evaluation, Scoring, evaluate_subsets, parse_subsets
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase, folder_cases, held_out_cases, validation_cases
from nnunet_hetero.evaluation.sweep.results import COMPLETION_COLUMNS, ResultFiles, means_over_cases
from nnunet_hetero.evaluation.sweep.table import markdown_table, summarise
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.network_steps import completes_images, required_modalities
from nnunet_hetero.inference.model.model_folder import checked_folds
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.atomic_files import replace_json, replace_text
from nnunet_hetero.modalities import Modalities, Subset
from nnunet_hetero.nnunet.regions import Region, regions_of


@dataclass(frozen=True)
class EvaluationResult:
    """What `evaluate_model` found and wrote.

    Args:
        folder: Output folder with ``metrics.csv``, ``summary.json`` and ``table.md``.
        evaluation: Rows, skipped subsets and failed cases.
        summary: See `sweep.table.summarise`; also what reference/files.md says of ``summary.json``.
        table: The content of ``table.md``.
    """

    folder: Path
    evaluation: Evaluation
    summary: dict[str, Any]
    table: str


def evaluate_model(
    model_folder: str | os.PathLike,
    folds: Sequence[int | str] | int | str | None = None,
    checkpoint_name: str = "checkpoint_final.pth",
    *,
    split: str = "val",
    images: str | os.PathLike | None = None,
    labels: str | os.PathLike | None = None,
    subsets: Sequence[str] | None = None,
    output: str | os.PathLike | None = None,
    device: torch.device | None = None,
    mirroring: bool = True,
    step_size: float = 0.5,
    num_samples: int = 0,
    seed: int = 0,
    metrics: MetricOptions | None = None,
    remove_small: tuple[str, int] | None = None,
    completion: bool = False,
    save_predictions: bool = False,
    trust_checkpoint: bool = False,
    progress: bool = True,
) -> EvaluationResult:
    """Segment cases from every subset of the modalities, measure how good that is, and write the results.

    With folders of images and labels, or on the test set that they share, several folds are an ensemble, as in
    ``nnUNetv2_predict``. Otherwise every fold segments its own validation cases, and the results are pooled.

    Args:
        model_folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
        folds: None takes all that have the checkpoint.
        checkpoint_name: File name of the checkpoint.
        split: ``val`` for validation cases, or ``test`` for the test cases that ``nnunet_hetero splits`` held out.
        images: Folder of images, instead of a split; needs ``labels`` and ``output``.
        labels: Folder of label maps.
        subsets: E.g. ``["T1+FLAIR", "T1c"]``; None is all 2^M - 1.
        output: Default ``fold_X/evaluation`` in the model folder, or ``evaluation_X_Y`` for several folds.
        device: Default CUDA if there is one, else the CPU.
        mirroring: Test-time augmentation.
        step_size: Of the sliding window, in tiles.
        num_samples: Draws of the latents to average; 0 is the posterior's mean, the fastest.
        seed: Seed of the draws.
        metrics: What is measured; None is the default.
        remove_small: Region and number of voxels: predictions of it with fewer are removed before scoring, see
            `nnunet_hetero.evaluation.scores.postprocessing`.
        completion: Whether to complete the modalities outside of each subset too, and compare them with true images.
        save_predictions: Whether to keep the label maps, in ``predictions/SUBSET``.
        trust_checkpoint: Whether to load the model's files whatever they bring along.
        progress: Whether to show a progress bar.

    Raises:
        SettingsError: If the model, a fold, a modality or a region does not exist, folds have different test cases or
            share validation cases, or the model has no image decoders and completion is asked for.
        DataError: If there are no cases, a label map is missing, or no case could be evaluated.
    """
    model_folder = Path(model_folder)
    folds = checked_folds(model_folder, folds, checkpoint_name)
    if images is None and split == "val" and len(folds) > 1 and "all" in folds:
        raise SettingsError("Fold 'all' has no validation cases of its own; do not evaluate it together with others.")
    device = device or torch.device("cuda" if torch.cuda.is_available() else "cpu")
    predictor = HeteroModalPredictor(
        options=PredictionOptions(sampling=SamplingOptions(num_samples, seed), trust_checkpoint=trust_checkpoint),
        tile_step_size=step_size,
        use_mirroring=mirroring,
        device=device,
        allow_tqdm=False,
    )
    together = images is not None or split == "test"
    groups = [folds] if together else [[fold] for fold in folds]
    if output is None:
        name = "_".join(map(str, folds))
        output = model_folder / (f"fold_{name}/evaluation" if len(folds) == 1 else f"evaluation_{name}")
        output = output.with_name(output.name + ("_test" if split == "test" else ""))
    predictor.initialize_from_trained_model_folder(str(model_folder), groups[0], checkpoint_name)
    modalities = predictor.modalities
    regions = regions_of(predictor.label_manager)
    if completion and not completes_images(predictor.network):
        raise SettingsError(
            "--completion: the model has no image decoders (its trainer has none, or hetero_modal.image_decoders is "
            "false in its plans). Leave the flag out."
        )
    removal = None if remove_small is None else SmallRegionRemoval.of(*remove_small, regions)
    scoring = Scoring(metrics or MetricOptions(), removal, completion, save_predictions)
    chosen = parse_subsets(modalities, subsets, required_modalities(predictor.network))
    cases = _cases(predictor, groups, split, images, labels)
    settings = {
        "version": __version__,
        "checkpoints": {str(fold): _time_of(model_folder / f"fold_{fold}" / checkpoint_name) for fold in folds},
        "checkpoint_name": checkpoint_name,
        "model": model_folder.name,
        "split": split if images is None else None,
        "images": None if images is None else os.path.abspath(images),
        "labels": None if labels is None else os.path.abspath(labels),
        "mirroring": mirroring,
        "step_size": step_size,
        "num_samples": predictor.sampling.num_samples,
        "seed": seed,
        "metrics": list(scoring.metrics.columns),
        "nsd_tolerance": scoring.metrics.tolerance,
        "lesion_rule": scoring.metrics.lesion_rule,
        "remove_small": None if remove_small is None else list(remove_small),
        "completion": completion,
    }
    results = ResultFiles(output, settings, list(regions), scoring.metrics.columns, completion)
    evaluation = Evaluation()
    total = len(chosen) * sum(map(len, cases))
    with tqdm(total=total, desc="Cases × subsets", disable=not progress) as bar:
        for number, (group, of_group) in enumerate(zip(groups, cases, strict=True)):
            if number:
                predictor.initialize_from_trained_model_folder(str(model_folder), group, checkpoint_name)
            evaluation.add(evaluate_subsets(predictor, of_group, chosen, results, scoring, bar))
    if not evaluation.rows:
        reasons = "\n".join(f"  {reason}" for reason in evaluation.failed.values())
        raise DataError(f"No case could be evaluated.\n{reasons}".rstrip())
    fold_names = {
        entry.case.name: [str(fold) for fold in group]
        for group, of_group in zip(groups, cases, strict=True)
        for entry in of_group
    }
    summary = _summary(evaluation, modalities, regions, chosen, scoring)
    summary |= {"folds": [str(fold) for fold in folds], "case_folds": fold_names, "settings": settings}
    table = markdown_table(summary)
    replace_text(results.folder / "table.md", table)
    replace_json(results.folder / "summary.json", summary)
    return EvaluationResult(results.folder, evaluation, summary, table)


def _cases(
    predictor: HeteroModalPredictor,
    groups: Sequence[Sequence[int | str]],
    split: str,
    images: str | os.PathLike | None,
    labels: str | os.PathLike | None,
) -> list[list[LabelledCase]]:
    """The cases of each group of folds."""
    modalities, dataset_json = predictor.modalities, predictor.dataset_json
    dataset = predictor.plans_manager.dataset_name
    if images is not None:
        return [folder_cases(images, labels, modalities, dataset_json["file_ending"])]
    if split == "test":
        return [held_out_cases(dataset, groups[0], modalities, dataset_json)]
    folds = [fold for (fold,) in groups]
    cases = [validation_cases(dataset, fold, modalities, dataset_json) for fold in folds]
    _refuse_shared_cases(folds, cases)
    return cases


def _summary(
    evaluation: Evaluation,
    modalities: Modalities,
    regions: Mapping[str, Region],
    subsets: Sequence[Subset],
    scoring: Scoring,
) -> dict[str, Any]:
    """The means, and what a reader or a comparison must know of the evaluation."""
    summary = summarise(evaluation.rows, modalities, list(regions), scoring.metrics.columns)
    with_results = {entry["subset"] for entry in summary["subsets"]}
    summary |= {
        "conventions": scoring.conventions,
        "postprocessing": scoring.removal.convention if scoring.removal else None,
        "labels": {name: list(region) if isinstance(region, tuple) else [region] for name, region in regions.items()},
        "subsets_without_results": [text for text in map(modalities.label, subsets) if text not in with_results],
        "skipped": evaluation.skipped,
        "failed": evaluation.failed,
    }
    if scoring.completion:
        summary["completion"] = _completion_means(evaluation)
    return summary


def _refuse_shared_cases(folds: Sequence[int | str], cases: Sequence[Sequence[LabelledCase]]) -> None:
    fold_of: dict[str, int | str] = {}
    for fold, of_fold in zip(folds, cases, strict=True):
        for name in (entry.case.name for entry in of_fold):
            if name in fold_of:
                raise SettingsError(
                    f"Case '{name}' is a validation case of the folds {fold_of[name]} and {fold}: pooled, it would "
                    "count twice. Evaluate each fold by itself, e.g. -f 0."
                )
            fold_of[name] = fold


def _completion_means(evaluation: Evaluation) -> list[dict[str, Any]]:
    """Means over cases of the completed images' scores; None where there is no value."""
    keys = ("subset", "n_modalities", "modality", "tissue")
    means = means_over_cases(evaluation.completion, keys, COMPLETION_COLUMNS)
    return [
        {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in row.items()}
        for row in means
    ]


def _time_of(file: Path) -> float:
    return file.stat().st_mtime
