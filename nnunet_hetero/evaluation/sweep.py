"""Segment cases from every subset of their modalities, and measure each result against the truth."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.labelled import LabelledCase
from nnunet_hetero.evaluation.metrics import dice_per_region
from nnunet_hetero.evaluation.results import ResultFile, Row
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.inference.preprocessing import (
    CaseImages,
    PreparedCase,
    grid_difference,
    preprocess,
    read_case,
    read_image,
)
from nnunet_hetero.inference.regions import regions_of
from nnunet_hetero.modalities import Modalities, Subset, all_subsets


@dataclass
class Evaluation:
    """What a sweep found.

    Args:
        rows: One per case, subset and region.
        skipped: By case, the subsets that need a modality which the case does not have.
        failed: By case, why it could not be evaluated.
    """

    rows: list[Row] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def parse_subsets(modalities: Modalities, texts: Iterable[str] | None) -> list[Subset]:
    """Subsets from texts such as ``T1+FLAIR``; None gives all 2^M - 1.

    Raises:
        SettingsError: If a modality is unknown or repeated, or a subset is empty or repeated.
    """
    if texts is None:
        return all_subsets(len(modalities))
    subsets = []
    for text in texts:
        subset = modalities.parse([text], "--subsets")
        if not subset or subset in subsets:
            raise SettingsError(f"--subsets: '{text}' is empty or the same subset as one before it. Name each once.")
        subsets.append(subset)
    return sorted(subsets, key=lambda subset: (len(subset), subset))


def evaluate_subsets(
    predictor: HeteroModalPredictor,
    cases: Sequence[LabelledCase],
    subsets: Sequence[Subset],
    results: ResultFile,
    save_predictions: bool = False,
    progress: bool = True,
) -> Evaluation:
    """Segment each case from each subset, as ``nnUNetv2_predict --available SUBSET`` would, but reading it only once.

    Args:
        predictor: Initialised with the model.
        cases: The cases with their label maps.
        subsets: Which subsets, see `parse_subsets`.
        results: Where rows go as they come; what it holds already is not computed again.
        save_predictions: Whether to write each label map to ``predictions/SUBSET/CASE`` in the results' folder.
        progress: Whether to show a progress bar over cases and subsets.
    """
    evaluation = Evaluation()
    modalities = predictor.modalities
    with tqdm(total=len(cases) * len(subsets), desc="Cases × subsets", disable=not progress) as bar:
        for entry in cases:
            name = entry.case.name
            files = {subset: _prediction_file(results, modalities.label(subset), name, predictor) for subset in subsets}
            todo = [
                subset
                for subset in subsets
                if (name, modalities.label(subset)) not in results or (save_predictions and not files[subset].is_file())
            ]
            bar.set_postfix_str(name)
            bar.update(len(subsets) - len(todo))
            try:
                if todo:
                    _evaluate_case(predictor, entry, todo, results, files if save_predictions else {}, bar)
            except DataError as error:
                evaluation.failed[name] = str(error)
                continue
            for text in map(modalities.label, subsets):
                if (name, text) in results:
                    evaluation.rows += results.rows_of(name, text)
                else:
                    evaluation.skipped.setdefault(name, []).append(text)
    return evaluation


def _prediction_file(results: ResultFile, subset: str, case: str, predictor: HeteroModalPredictor) -> Path:
    return results.folder / "predictions" / subset / (case + predictor.dataset_json["file_ending"])


def _evaluate_case(
    predictor: HeteroModalPredictor,
    entry: LabelledCase,
    subsets: Sequence[Subset],
    results: ResultFile,
    files: dict[Subset, Path],
    bar: tqdm,
) -> None:
    """Add the rows of one case to the results, except for subsets that the case does not have."""
    reader = predictor.plans_manager.image_reader_writer_class()
    images = read_case(entry.case, predictor.modalities, predictor.kept, reader)
    truth = _read_truth(entry, images, reader)
    regions = regions_of(predictor.label_manager)
    inputs = _Inputs(images, predictor)
    for subset in subsets:
        prepared = inputs.of(subset)
        if prepared is not None:
            data = torch.from_numpy(prepared.data)
            logits = predictor.predict_case(data, prepared.properties, images.name).logits
            prediction = predictor.to_segmentation(logits, prepared.properties)
            if subset in files:
                files[subset].parent.mkdir(parents=True, exist_ok=True)
                reader.write_seg(prediction, str(files[subset]), prepared.properties)
            dice = dice_per_region(prediction, truth, regions, predictor.label_manager.ignore_label)
            label = predictor.modalities.label(subset)
            results.add(
                [
                    Row(case=images.name, subset=label, n_modalities=len(subset), region=region, dice=value)
                    for region, value in dice.items()
                ]
            )
        bar.update()


def _read_truth(entry: LabelledCase, images: CaseImages, reader) -> np.ndarray:
    what = f"Case '{entry.case.name}': label map {entry.label}"
    truth, grid = read_image(entry.label, what, reader.read_seg)
    channel = images.used[0]
    difference = grid_difference(truth, grid, images.data[channel], images.properties[channel])
    if difference:
        raise DataError(
            f"{what} lies on another grid than {images.modalities.names[channel]}: {difference}. Resample it to the "
            "images' grid."
        )
    return truth


class _Inputs:
    """The network's input for each subset of one case.

    nnU-Net crops and normalises by where any image is not zero. Subsets that agree on that share one preprocessing;
    for them an absent modality is but a channel of zeros.
    """

    def __init__(self, images: CaseImages, predictor: HeteroModalPredictor):
        self.images = images
        self.predictor = predictor
        self.nonzero = images.data != 0
        self.everything = self._preprocess(images)

    def _preprocess(self, images: CaseImages) -> PreparedCase:
        predictor = self.predictor
        return preprocess(images, predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json)

    def of(self, subset: Subset) -> PreparedCase | None:
        """The input for a subset, or None if the case does not have it."""
        if not set(subset) <= set(self.everything.used):
            return None
        same_mask = (self.nonzero[list(subset)].any(axis=0) == self.nonzero.any(axis=0)).all()
        first = self.images.properties[subset[0]]
        same_grid = first["spacing"] == self.images.properties[self.images.used[0]]["spacing"]
        if not (same_mask and same_grid):
            return self._preprocess(self.images.restricted_to(subset))
        data = np.zeros_like(self.everything.data)
        data[list(subset)] = self.everything.data[list(subset)]
        return PreparedCase(self.images.name, data, {**self.everything.properties, **first}, subset, {})
