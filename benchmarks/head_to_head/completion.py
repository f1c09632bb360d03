"""``python -m head_to_head.completion MODEL FOLD FILE DEVICE``: how close completed images are to the real ones.

Each modality of each held-out case is completed from all others that the case has, from the posterior's mean and
without mirroring, and compared with the simplest guess: the voxel-wise mean of the training cases in that place. That
guess needs cases on one grid, such as the atlas of BraTS; otherwise there is a note instead of numbers.

All images are in z-scored units (zero mean and unit variance inside the brain), those of nnU-Net's normalisation and
thus of the network; neither the completed image nor the guess is scaled afterwards. A model with other units gets a
note. PSNR and SSIM are over the voxels of the brain (where the real image is not zero), their data range is the real
image's range there; SSIM has windows of 7×7×7 voxels.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tqdm import tqdm

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.find import find_cases
from nnunet_hetero.cases.intensity_scale import IntensityScale
from nnunet_hetero.cases.preprocess import grid_difference, preprocess, read_case
from nnunet_hetero.cases.raw_dataset import read_dataset_json, training_files
from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.scores.image_quality import WINDOW, z_scored
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.nnunet.folders import dataset_folders
from nnunet_hetero.nnunet.json_files import SPLITS

FROM_THE_MEAN = SamplingOptions(num_samples=0, save_completed="missing")


class OtherGridError(DataError):
    """Cases lie on different grids: they have no voxel-wise mean."""


class TrainingMean:
    """Voxel-wise mean of z-scored images, each modality over the cases that have brain there; elsewhere 0."""

    def __init__(self) -> None:
        self.first: CaseImages | None = None
        self._sum = self._count = None

    def add(self, case: CaseImages) -> None:
        """Count a case in.

        Raises:
            OtherGridError: If it lies on another grid than the first one.
        """
        if self.first is None:
            self.first = case
            self._sum = np.zeros(case.data.shape, np.float64)
            self._count = np.zeros(case.data.shape, np.int32)
        self.require_grid(case)
        for channel in case.used:
            brain = case.data[channel] != 0
            self._sum[channel] += z_scored(case.data[channel], brain)
            self._count[channel] += brain

    def require_grid(self, case: CaseImages) -> None:
        """Refuse a case on another grid.

        Raises:
            OtherGridError: Names both cases.
        """
        first, other = self.first.used[0], case.used[0]
        difference = grid_difference(
            case.data[other], case.properties[other], self.first.data[first], self.first.properties[first]
        )
        if difference:
            raise OtherGridError(
                f"No voxel-wise mean of the training cases to compare with: '{case.name}' and '{self.first.name}' lie "
                f"on different grids ({difference})."
            )

    def image(self, channel: int) -> np.ndarray:
        """The mean of a modality, ``(z, y, x)``."""
        return self._sum[channel] / np.maximum(self._count[channel], 1)


def brain_scores(image: np.ndarray, real: np.ndarray) -> tuple[float, float]:
    """PSNR in dB and SSIM in the brain.

    Args:
        image: In z-scored units, ``(z, y, x)``.
        real: The real image as it was read, same shape.
    """
    brain = real != 0
    truth = z_scored(real, brain)
    image = np.where(brain, image, 0)
    data_range = float(np.ptp(truth[brain]))
    psnr = peak_signal_noise_ratio(truth[brain], image[brain], data_range=data_range)
    window = min(WINDOW, *(size - 1 + size % 2 for size in real.shape))
    if window < 3:  # SSIM needs neighbours along every axis
        return float(psnr), float("nan")
    _, similarity = structural_similarity(truth, image, data_range=data_range, win_size=window, full=True)
    return float(psnr), float(similarity[brain].mean())


def completed(predictor: HeteroModalPredictor, case: CaseImages, channel: int) -> np.ndarray:
    """A modality from all others that the case has, ``(z, y, x)`` on its own grid.

    It is the image that ``--save_completed`` writes, but in z-scored units.
    """
    others = case.restricted_to(set(case.used) - {channel})
    prepared = preprocess(others, predictor.model.preparation)
    data = torch.from_numpy(prepared.data)
    found = predict_preprocessed(predictor.model, data, case.name, FROM_THE_MEAN, segment=False)
    writer = dataclasses.replace(
        CaseWriter.of_model(predictor.model), scales=[IntensityScale()] * len(predictor.modalities)
    )
    return writer.completed_images(found, prepared.properties)[found.completed.index(channel)]


def compare_with_mean(
    predictor: HeteroModalPredictor, training: Iterable[CaseImages], held_out: Iterable[CaseImages]
) -> list[dict]:
    """One row per held-out case and modality: ``psnr`` and ``ssim`` of the image, with ``_mean`` of the guess.

    Raises:
        OtherGridError: If the cases lie on different grids.
    """
    mean = TrainingMean()
    for case in training:
        mean.add(case)
    rows = []
    for case in held_out:
        mean.require_grid(case)
        for channel in case.used if len(case.used) > 1 else ():
            real = case.data[channel]
            psnr, ssim = brain_scores(completed(predictor, case, channel), real)
            psnr_mean, ssim_mean = brain_scores(mean.image(channel), real)
            rows.append(
                {
                    "case": case.name,
                    "modality": predictor.modalities.names[channel],
                    "psnr": psnr,
                    "psnr_mean": psnr_mean,
                    "ssim": ssim,
                    "ssim_mean": ssim_mean,
                }
            )
    return rows


def cases_of(predictor: HeteroModalPredictor, names: Sequence[str], what: str) -> Iterator[CaseImages]:
    """Read raw cases of the model's dataset."""
    modalities = predictor.modalities
    raw, _ = dataset_folders(predictor.plans_manager.dataset_name)
    files = training_files(raw, read_dataset_json(raw))
    reader = predictor.plans_manager.image_reader_writer_class()
    every = tuple(range(len(modalities)))
    found = find_cases([files[name]["images"] for name in names], modalities, predictor.dataset_json["file_ending"])
    for case in tqdm(found, what, unit="case"):
        yield read_case(case, modalities, every, reader)


def why_other_units(configuration) -> str:
    """Why a model's images are not z-scored inside the brain; empty if they are.

    Args:
        configuration: nnU-Net's ``ConfigurationManager`` of the model's plans.
    """
    if set(configuration.normalization_schemes) != {"ZScoreNormalization"} or not all(configuration.use_mask_for_norm):
        return "The plan does not z-score images inside the brain, so completed ones have other units."
    if HeteroModalConfig.from_plans(configuration).histogram_standardisation:
        return "It was trained on standardised histograms, so its images have other units."
    return ""


def score(model: str, fold: str, device: str) -> dict:
    """Rows of `compare_with_mean`, or a note why there are none."""
    predictor = HeteroModalPredictor.from_model_folder(model, [fold], device, use_mirroring=False)
    if not predictor.model.network.completes_images:
        return {"rows": [], "note": "The method has no image decoders."}
    other_units = why_other_units(predictor.configuration_manager)
    if other_units:
        return {"rows": [], "note": other_units}
    _, preprocessed = dataset_folders(predictor.plans_manager.dataset_name)
    splits = SPLITS.read(preprocessed / "splits_final.json")[int(fold)]
    training, held_out = (
        cases_of(predictor, splits[part], what) for part, what in (("train", "Mean"), ("val", "Completion"))
    )
    try:
        return {"rows": compare_with_mean(predictor, training, held_out), "note": ""}
    except OtherGridError as error:
        return {"rows": [], "note": str(error)}


if __name__ == "__main__":
    model_folder, fold_number, file, device_name = sys.argv[1:]
    replace_json(file, score(model_folder, fold_number, device_name))
