"""One case from every subset of its modalities: what the model says of it, and what is true."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from nnunetv2.evaluation.evaluate_predictions import region_or_label_to_mask
from scipy.ndimage import distance_transform_edt

from nnunet_hetero.calibration.records import NEAR, CaseRecord, Row, Voxels
from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.preprocess import read_case
from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.scores.geometry import bounding_box
from nnunet_hetero.evaluation.scores.overlap import dice_per_region
from nnunet_hetero.evaluation.sweep.inputs import SharedInput, shared_inputs
from nnunet_hetero.evaluation.sweep.labelled import LabelledCase, read_truth
from nnunet_hetero.inference.engine.case_prediction import preprocessed_voxel_size
from nnunet_hetero.inference.engine.case_result import CasePrediction
from nnunet_hetero.inference.engine.input_look import signs_of_good
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.engine.subset_draws import draw_subsets
from nnunet_hetero.inference.output.volumes import PERCENTILES, region_sizes
from nnunet_hetero.modalities import Subset
from nnunet_hetero.nnunet.extent import spacing_in_mm, voxel_size
from nnunet_hetero.nnunet.regions import RegionDecoder
from nnunet_hetero.reliability.temperature import voxel_counts


def measure_case(
    model: LoadedModel,
    entry: LabelledCase,
    subsets: Sequence[Subset],
    fold: str,
    patient: str,
    on_done: Callable[[float], None],
) -> CaseRecord:
    """Predict a case from each of the subsets that it has, as ``nnunet_hetero predict --available SUBSET`` would.

    Args:
        model: The model, with weights that have not seen the case.
        entry: The case.
        subsets: Those wanted.
        fold: What the rows say of the model.
        patient: Whose case it is.
        on_done: Called with the number of subsets that were done since the last call, or a part of it.

    Raises:
        DataError: If the case or its label map cannot be used, or its true volume is not known.
    """
    reader = model.preparation.reader()
    images = read_case(entry.case, model.modalities, model.kept, reader)
    truth = read_truth(entry, images, reader, model.preparation.dataset_json)
    _require_known_volume(entry, images, truth, model)
    own = [subset for subset in subsets if set(subset) <= set(images.used)]
    if not own:
        raise DataError(f"Case '{images.name}' has none of the subsets of modalities that the model can be given.")
    record = CaseRecord([], {region: {} for region in model.regions})
    for shared in shared_inputs(images, own, model.preparation):
        data = torch.from_numpy(shared.prepared.data)
        voxel = preprocessed_voxel_size(shared.prepared.properties, data.shape[1:])
        if images.used in shared.subsets:
            record = replace(record, input_statistics=signs_of_good(model, data))
        tell = partial(_tell, on_done, len(shared.subsets))
        found = draw_subsets(model, data, images.name, shared.subsets, model.sampling, voxel, tell)
        for subset, prediction in zip(shared.subsets, found, strict=True):
            _add(record, model, subset, prediction, shared, images, truth, {"patient": patient, "fold": fold})
    return record


def _tell(on_done: Callable[[float], None], subsets: int, share: float) -> None:
    on_done(share * subsets)


def _require_known_volume(entry: LabelledCase, images: CaseImages, truth: np.ndarray, model: LoadedModel) -> None:
    what = f"Case '{entry.case.name}'"
    if voxel_size(images.grid_of(images.used[0])).unit is None:
        raise DataError(
            f"{what}: nobody knows how large a pixel of it is, so it has no size to compare with. A model can be "
            "calibrated on images whose files say so, such as NIfTI."
        )
    ignore = model.label_manager.ignore_label
    if ignore is not None and (truth == ignore).any():
        raise DataError(f"{what}: {entry.label} has voxels that are not labelled ('ignore'), so no region has a size.")


def _add(
    record: CaseRecord,
    model: LoadedModel,
    subset: Subset,
    prediction: CasePrediction,
    shared: SharedInput,
    images: CaseImages,
    truth: np.ndarray,
    who: dict[str, str],
) -> None:
    properties = shared.properties_of(subset, images, model.preparation)
    label_map, maps = model.to_segmentation(prediction.logits, properties, return_probabilities=True)
    probabilities = RegionDecoder(model.label_manager).probabilities(torch.from_numpy(np.asarray(maps))).numpy()
    brain = (images.data[list(subset)] != 0).any(axis=0)
    voxel = voxel_size(properties)
    true_sizes = region_sizes(truth, model.regions, voxel)
    dice = dice_per_region(label_map, truth, model.regions)
    said, label = prediction.statement, model.modalities.label(subset)
    if said is None or voxel.unit is None:
        raise ValueError("Without the size of a voxel there is nothing to measure.")
    drawn = said.sizes[None] if prediction.volumes is None else prediction.volumes
    low, high = np.percentile(drawn, PERCENTILES, axis=0)
    for place, (name, region) in enumerate(model.regions.items()):
        row: Row = {
            "case": images.name,
            "patient": who["patient"],
            "fold": who["fold"],
            "subset": label,
            "n_modalities": len(subset),
            "region": name,
            "unit": voxel.unit,
            "voxel": voxel.size,
            "true_size": true_sizes[name],
            "size": float(said.sizes[place]),
            "draws_low": float(low[place]),
            "draws_high": float(high[place]),
            "disagreement": float(said.disagreement[place]),
            "expected_dice": float(said.expected_dice[place]),
            "softened_dice": float(said.softened_dice[place]),
            "surface": float(said.surface[place]),
            "dice": None if math.isnan(dice[name]) else dice[name],
        }
        record.rows.append(row)
        predicted, true = (region_or_label_to_mask(one, region) for one in (label_map, truth))
        near = brain & neighbourhood(predicted | true, spacing_in_mm(properties), NEAR)
        record.voxels[name][label] = _voxels(probabilities[place], true, near, brain)


def _voxels(probability: np.ndarray, true: np.ndarray, near: np.ndarray, brain: np.ndarray) -> Voxels:
    close, everywhere = (voxel_counts(probability[where], true[where]).tolist() for where in (near, brain))
    return {"near": close, "brain": everywhere}


def neighbourhood(mask: np.ndarray, spacing: Sequence[float], distance: float) -> np.ndarray:
    """Voxels of a mask and those up to a distance from it, same shape.

    Args:
        mask: Bool.
        spacing: Edges of a voxel along the axes, mm; NaN along an axis that has a single one.
        distance: mm.
    """
    result = np.zeros_like(mask)
    if not mask.any():
        return result
    edges = [1.0 if math.isnan(edge) else edge for edge in spacing]
    box = bounding_box(mask, math.ceil(distance / min(edges)))
    result[box] = distance_transform_edt(~mask[box], sampling=edges) <= distance
    return result
