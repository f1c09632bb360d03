"""Segment cases from every subset of their modalities, and measure each result against the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from tqdm import tqdm

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.label_maps.written_image import write_label_map
from nnunet_hetero.cases.preprocess import read_case
from nnunet_hetero.cases.tissue import tissue_masks, warn_of_odd_backgrounds
from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.scores.image_quality import CONVENTION, completion_scores
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.evaluation.scores.overlap import measure
from nnunet_hetero.evaluation.scores.postprocessing import SmallRegionRemoval
from nnunet_hetero.evaluation.sweep.inputs import SharedInput, shared_inputs
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase, read_truth
from nnunet_hetero.evaluation.sweep.results import COMPLETION_COLUMNS, ResultFiles
from nnunet_hetero.evaluation.sweep.row_blocks import Pair, Row
from nnunet_hetero.evaluation.sweep.snapshots import save_snapshot
from nnunet_hetero.inference.engine.case_result import CasePrediction
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.engine.subset_prediction import Target, predict_subsets
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.io.atomic_files import replacing_by_name
from nnunet_hetero.modalities import Subset
from nnunet_hetero.nnunet.extent import spacing_in_mm


@dataclass
class Evaluation:
    """What a sweep found.

    Args:
        rows: One per case, subset and region.
        completion: One per case, subset, completed modality and tissue.
        skipped: By case, the subsets that need a modality which the case does not have.
        failed: By case, why it could not be evaluated.
    """

    rows: list[Row] = field(default_factory=list)
    completion: list[Row] = field(default_factory=list)
    skipped: dict[str, list[str]] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Scoring:
    """What is done with each segmentation.

    Args:
        metrics: What is measured.
        removal: What is taken out before; None leaves it as it is.
        completion: Whether to complete what is absent, and compare it with the true image where there is one.
        save_predictions: Whether to write each label map to ``predictions/SUBSET/CASE`` in the results' folder.
    """

    metrics: MetricOptions = field(default_factory=MetricOptions)
    removal: SmallRegionRemoval | None = None
    completion: bool = False
    save_predictions: bool = False

    @property
    def conventions(self) -> dict[str, str]:
        """What the numbers mean, by column."""
        return {
            **self.metrics.conventions,
            **(dict.fromkeys(COMPLETION_COLUMNS, CONVENTION) if self.completion else {}),
        }


class Results(Protocol):
    """Where a sweep finds what is done already, and adds what it finds: see `ResultFiles`."""

    folder: Path

    def __contains__(self, pair: Pair) -> bool:
        """Whether a case and subset are done."""

    def add(self, metrics: Sequence[Row], completion: Sequence[Row] = ()) -> None:
        """Take the rows of one case and subset."""


def evaluate_subsets(
    model: LoadedModel,
    cases: Sequence[LabelledCase],
    subsets: Sequence[Subset],
    results: Results,
    scoring: Scoring,
    bar: tqdm,
) -> dict[str, str]:
    """Segment every case from each of the subsets, in its own grid, and compare it with its label map.

    Each segmentation is what ``nnUNetv2_predict --available SUBSET`` would give, but a case is read once, preprocessed
    as often as its subsets differ in that, and encoded once for all subsets that do not.

    Args:
        model: The model.
        cases: The cases with their label maps.
        subsets: Which subsets, see `nnunet_hetero.modalities.parse_subsets`.
        results: Where rows go as they come; what it holds already is not computed again.
        scoring: What is measured.
        bar: Progress over cases and subsets.

    Returns:
        By case, why it could not be evaluated.
    """
    failed = {}
    sweep = _Sweep(model, results, scoring)
    for entry in cases:
        name = entry.case.name
        todo = [subset for subset in subsets if not sweep.is_done(name, subset)]
        done = bar.n + len(subsets)
        bar.set_postfix_str(name)
        bar.update(len(subsets) - len(todo))
        try:
            if todo:
                sweep.evaluate(entry, todo, bar)
        except DataError as error:
            failed[name] = str(error)
        bar.update(done - bar.n)
    return failed


def gathered(
    cases: Sequence[str], subsets: Sequence[str], results: ResultFiles, failed: Mapping[str, str]
) -> Evaluation:
    """What a sweep found, in the order of the cases.

    Args:
        cases: Their names.
        subsets: By name.
        results: What it was added to.
        failed: See `evaluate_subsets`.
    """
    evaluation = Evaluation(failed=dict(failed))
    for name, subset in product(cases, subsets):
        if (name, subset) in results:
            evaluation.rows += results.metrics_of((name, subset))
            evaluation.completion += results.completion_of((name, subset))
        elif name not in failed:
            evaluation.skipped.setdefault(name, []).append(subset)
    return evaluation


class _Sweep:
    """One model over cases and subsets."""

    def __init__(self, model: LoadedModel, results: Results, scoring: Scoring):
        self.model = model
        self.results = results
        self.scoring = scoring
        self.regions = model.regions
        self.reader = model.preparation.reader()
        self.writer = CaseWriter.of_model(model)

    def is_done(self, case: str, subset: Subset) -> bool:
        """Whether an earlier run has left nothing to do."""
        there = not self.scoring.save_predictions or self._prediction_file(case, subset).is_file()
        return there and (case, self.model.modalities.label(subset)) in self.results

    def _prediction_file(self, case: str, subset: Subset) -> Path:
        folder = self.results.folder / "predictions" / self.model.modalities.label(subset)
        return folder / (case + self.model.preparation.file_ending)

    def evaluate(self, entry: LabelledCase, subsets: Sequence[Subset], bar: tqdm) -> None:
        """Add the rows of one case to the results, except for subsets that the case does not have."""
        model = self.model
        images = read_case(entry.case, model.modalities, model.kept, self.reader)
        warn_of_odd_backgrounds(images, model.preparation)
        truth = read_truth(entry, images, self.reader, model.preparation.dataset_json)
        own = [subset for subset in subsets if set(subset) <= set(images.used)]
        tissue = tissue_masks(images.data, range(len(images.data)), model.preparation)
        for shared in shared_inputs(images, own, model.preparation):
            targets = [Target(subset, self._completed(subset, images)) for subset in shared.subsets]
            seen = _Percentage(bar, images.name)
            data = torch.from_numpy(shared.prepared.data)
            found = predict_subsets(model, data, images.name, targets, model.sampling, seen)
            for target, prediction in zip(targets, found, strict=True):
                self._score(target.subset, prediction, shared, images, truth, tissue)
                bar.update()

    def _completed(self, subset: Subset, images: CaseImages) -> tuple[int, ...]:
        return tuple(channel for channel in images.used if self.scoring.completion and channel not in subset)

    def _score(
        self,
        subset: Subset,
        found: CasePrediction,
        shared: SharedInput,
        images: CaseImages,
        truth: np.ndarray,
        tissue: np.ndarray,
    ) -> None:
        properties = shared.properties_of(subset, images, self.model.preparation)
        prediction = self.model.to_segmentation(found.logits, properties)
        if self.scoring.removal is not None:
            prediction = self.scoring.removal(prediction)
        if self.scoring.save_predictions:
            file = self._prediction_file(images.name, subset)
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing_by_name(file) as path:
                write_label_map(prediction, path, properties, self.reader)
        label = self.model.modalities.label(subset)
        spacing = properties["spacing"]
        save_snapshot(self.results.folder, images.name, label, images.data, truth, prediction, spacing, tissue)
        ignore = self.model.label_manager.ignore_label
        scores = measure(prediction, truth, self.regions, spacing_in_mm(properties), self.scoring.metrics, ignore)
        pair = {"case": images.name, "subset": label, "n_modalities": len(subset)}
        completion = []
        if found.completed:
            names = [self.model.modalities.names[channel] for channel in found.completed]
            completed = self.writer.completed_images(found, properties)
            channels = list(found.completed)
            tumour = np.isin(truth, [0] if ignore is None else [0, ignore], invert=True)
            of_channels = zip(names, completed, images.data[channels], tissue[channels], strict=True)
            for name, image, real, brain in of_channels:
                scored = completion_scores(image, real, tumour, brain)
                completion += [{**pair, "modality": name, **row} for row in scored]
        # The case and subset are done with these rows.
        self.results.add([{**pair, "region": region, **row} for region, row in scores.items()], completion)


class _Percentage:
    """Shows beside the progress bar how far the tiles are that several subsets share."""

    def __init__(self, bar: tqdm, case: str):
        self.bar = bar
        self.case = case
        self.share = 0.0

    def __call__(self, more: float) -> None:
        self.share += more
        self.bar.set_postfix_str(f"{self.case}, tiles {100 * self.share:.0f} %")
