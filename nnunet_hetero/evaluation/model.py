"""Evaluate a trained model on all subsets of its modalities: validation cases of its folds, or folders of images."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from nnunet_hetero import __version__
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.labelled import folder_cases, held_out_cases, validation_cases
from nnunet_hetero.evaluation.results import ResultFile
from nnunet_hetero.evaluation.sweep import Evaluation, evaluate_subsets, parse_subsets
from nnunet_hetero.evaluation.table import markdown_table, summarise
from nnunet_hetero.inference.model_folder import checked_folds
from nnunet_hetero.inference.outputs import SamplingOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.inference.regions import regions_of
from nnunet_hetero.integration.predict_flags import PredictionOptions


@dataclass(frozen=True)
class EvaluationResult:
    """What `evaluate_model` found and wrote.

    Args:
        folder: Output folder with ``dice.csv``, ``summary.json`` and ``table.md``.
        evaluation: Rows, skipped subsets and failed cases.
        summary: See `nnunet_hetero.evaluation.table.summarise`; also ``skipped``, ``failed`` and ``settings``.
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
    save_predictions: bool = False,
    trust_checkpoint: bool = False,
    progress: bool = True,
) -> EvaluationResult:
    """Segment cases from every subset of the modalities, measure the Dice, and write the results.

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
        save_predictions: Whether to keep the label maps, in ``predictions/SUBSET``.
        trust_checkpoint: Whether to load the model's files whatever they bring along.
        progress: Whether to show a progress bar.

    Raises:
        SettingsError: If the model, a fold or a modality does not exist, or folds have different test cases.
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
        "num_samples": num_samples,
        "seed": seed,
    }
    evaluation, results = Evaluation(), None
    for group in groups:
        predictor.initialize_from_trained_model_folder(str(model_folder), group, checkpoint_name)
        modalities, dataset_json = predictor.modalities, predictor.dataset_json
        if images is not None:
            cases = folder_cases(images, labels, modalities, dataset_json["file_ending"])
        elif split == "test":
            cases = held_out_cases(predictor.plans_manager.dataset_name, group, modalities, dataset_json)
        else:
            cases = validation_cases(predictor.plans_manager.dataset_name, group[0], modalities, dataset_json)
        regions = list(regions_of(predictor.label_manager))
        chosen = parse_subsets(modalities, subsets)
        results = results or ResultFile(output, settings, regions)
        found = evaluate_subsets(predictor, cases, chosen, results, save_predictions, progress)
        evaluation.rows += found.rows
        evaluation.skipped.update(found.skipped)
        evaluation.failed.update(found.failed)
    if not evaluation.rows:
        reasons = "\n".join(f"  {reason}" for reason in evaluation.failed.values())
        raise DataError(f"No case could be evaluated.\n{reasons}".rstrip())
    summary = summarise(evaluation.rows, modalities, regions)
    summary |= {"skipped": evaluation.skipped, "failed": evaluation.failed, "settings": settings}
    table = markdown_table(summary)
    (results.folder / "summary.json").write_text(
        json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    (results.folder / "table.md").write_text(table, encoding="utf-8")
    return EvaluationResult(results.folder, evaluation, summary, table)


def _time_of(file: Path) -> float:
    return file.stat().st_mtime
