"""The model of a request, and which of its folds segment which cases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.sweep.labelled import (
    LabelledCase,
    folder_cases,
    held_out_cases,
    require_split_of_training,
    validation_cases,
)
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest, Fold
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.provenance import Provenance
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.arguments import usable_device


@dataclass(frozen=True)
class CaseGroup:
    """Folds that segment cases together, and these cases."""

    folds: list[Fold]
    cases: list[LabelledCase]


def predictor_of(request: EvaluationRequest) -> HeteroModalPredictor:
    """What predicts as a request asks, before a model is loaded."""
    return HeteroModalPredictor(
        options=PredictionOptions(sampling=request.sampling, trust_checkpoint=request.trust_checkpoint),
        tile_step_size=request.step_size,
        use_mirroring=request.mirroring,
        device=usable_device(request.device or ("cuda" if torch.cuda.is_available() else "cpu")),
        allow_tqdm=False,
    )


def load_folds(predictor: HeteroModalPredictor, request: EvaluationRequest, folds: Sequence[Fold]) -> None:
    """Load some of the folds of a request's model."""
    predictor.initialize_from_trained_model_folder(str(request.model_folder), folds, request.checkpoint_name)


def cases_of(
    request: EvaluationRequest, predictor: HeteroModalPredictor, groups: Sequence[list[Fold]]
) -> list[CaseGroup]:
    """The cases of each group of folds.

    Raises:
        SettingsError: If there is no such fold, its validation cases are none of those of the training, folds share
            validation cases, or have different test cases.
        DataError: If there are no cases, or a label map is missing.
    """
    modalities, dataset_json = predictor.modalities, predictor.dataset_json
    dataset = predictor.plans_manager.dataset_name
    if request.images is not None and request.labels is not None:
        found = folder_cases(request.images, request.labels, modalities, dataset_json["file_ending"])
        return [CaseGroup(groups[0], found)]
    if request.split == "test":
        return [CaseGroup(groups[0], held_out_cases(dataset, groups[0], modalities, dataset_json))]
    cases = [CaseGroup([fold], validation_cases(dataset, fold, modalities, dataset_json)) for (fold,) in groups]
    for group in cases:
        folder = Path(request.model_folder) / f"fold_{group.folds[0]}"
        if group.folds != ["all"]:
            require_split_of_training(folder, group.cases, dataset_json["file_ending"])
    _refuse_shared_cases(cases)
    return cases


def entries_of(cases: Sequence[CaseGroup]) -> Iterator[LabelledCase]:
    """All cases, group by group."""
    for group in cases:
        yield from group.cases


def sources_of(request: EvaluationRequest, cases: Sequence[CaseGroup], modalities: Modalities) -> dict[str, Provenance]:
    """What each case is evaluated from."""
    folder = Path(request.model_folder)
    found = {}
    for group in cases:
        model = {name: folder / name for name in ("plans.json", "dataset.json")}
        model |= {
            f"checkpoint of fold {fold}": folder / f"fold_{fold}" / request.checkpoint_name for fold in group.folds
        }
        for entry in group.cases:
            images = zip(modalities.names, entry.case.files, strict=False)  # a case with a problem may have any number
            found[entry.case.name] = Provenance.of({**dict(images), "label map": entry.label, **model}, {})
    return found


def _refuse_shared_cases(cases: Sequence[CaseGroup]) -> None:
    fold_of: dict[str, Fold] = {}
    for group in cases:
        (fold,) = group.folds
        for entry in group.cases:
            name = entry.case.name
            if name in fold_of:
                raise SettingsError(
                    f"Case '{name}' is a validation case of the folds {fold_of[name]} and {fold}: pooled, it would "
                    "count twice. Evaluate each fold by itself, e.g. -f 0."
                )
            fold_of[name] = fold
