"""The files of one case: nnU-Net's segmentation and probabilities, completed images, maps of uncertainty."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import SimpleITK as sitk
from batchgenerators.utilities.file_and_folder_operations import save_pickle
from nibabel.orientations import axcodes2ornt, io_orientation, ornt_transform
from nnunetv2.inference.export_prediction import convert_predicted_logits_to_segmentation_with_correct_shape
from scipy.ndimage import binary_fill_holes

from nnunet_hetero.cases.intensity_scale import IntensityScale
from nnunet_hetero.cases.label_maps.written_image import require_written, write_label_map
from nnunet_hetero.cases.oriented_reader import as_stored, stored_properties
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.tissue import FOREGROUND, NOT_ZERO, unpacked
from nnunet_hetero.inference.engine.case_result import CasePrediction, Demands, SamplingOptions
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.output.checks_table import FILE_NAME as CHECKS_NAME
from nnunet_hetero.inference.output.checks_table import checks_rows
from nnunet_hetero.inference.output.completed_images import description, restored
from nnunet_hetero.inference.output.quality_table import FILE_NAME as QUALITY_NAME
from nnunet_hetero.inference.output.quality_table import predicted_quality, quality_rows
from nnunet_hetero.inference.output.statements import at_temperatures, said_by, statements_of
from nnunet_hetero.inference.output.uncertainty import FILE_NAME as UNCERTAINTY_NAME
from nnunet_hetero.inference.output.uncertainty import uncertainty_row
from nnunet_hetero.inference.output.volumes import FILE_NAME as VOLUMES_NAME
from nnunet_hetero.inference.output.volumes import Row, plain_name, region_sizes, spread_row, volumes_row
from nnunet_hetero.io.atomic_files import replace_json, require_whole
from nnunet_hetero.nnunet.extent import image_size, is_two_dimensional, voxel_size
from nnunet_hetero.nnunet.regions import Region
from nnunet_hetero.reliability.intervals import CalibrationInUse, Interval
from nnunet_hetero.reliability.quality import PredictedDice
from nnunet_hetero.reliability.volume_scale import VolumeScale

COMPLETED_FOLDER = "completed"
UNCERTAINTY_FOLDER = "uncertainty"
UNCERTAINTY_TABLE = f"{UNCERTAINTY_FOLDER}/{UNCERTAINTY_NAME}"
TABLES = (VOLUMES_NAME, UNCERTAINTY_TABLE, QUALITY_NAME, CHECKS_NAME)
NUMBERED_FORMATS = (".nii.gz", ".nii", ".nrrd", ".mha", ".gipl")
"""Formats that hold numbers with decimals; images of other data sets are written as the first of them."""

LEAST_SHARE = 0.3
"""At the brain's edge, completed images are divided by this share of foreground at least."""


@dataclass(frozen=True)
class CaseWriter:
    """Writes the files of a case, and knows their names. It is sent to background processes.

    Args:
        preparation: That of the model.
        regions: Label values by the regions' names, in the order of a prediction's maps.
        sampling: What is written besides the segmentation.
        scales: How completed images get the intensities of real ones, one per modality.
        save_probabilities: Whether to write nnU-Net's ``.npz`` and ``.pkl``.
        calibration: Makes intervals of volumes, and calibrated probabilities; None without.
        demands: What the prediction has to come up to.
    """

    preparation: Preparation
    regions: dict[str, Region]
    sampling: SamplingOptions
    scales: tuple[IntensityScale, ...]
    save_probabilities: bool = False
    calibration: CalibrationInUse | None = None
    demands: Demands = field(default_factory=Demands)

    @classmethod
    def of_model(cls, model: LoadedModel, save_probabilities: bool = False) -> CaseWriter:
        """What writes the files of a model's predictions.

        Args:
            model: The model.
            save_probabilities: Whether to write nnU-Net's ``.npz`` and ``.pkl``.
        """
        preparation, calibration = model.preparation, model.calibration
        what = model.regions, model.sampling, model.scales, save_probabilities
        return cls(preparation, *what, calibration, model.demands)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the channels."""
        return self.preparation.modalities.names

    def segmentation(self, case: str) -> str:
        """File of the segmentation, below the output folder."""
        return case + self.preparation.file_ending

    def completed(self, case: str, channel: int) -> str:
        """File of a completed modality, named as nnU-Net names the image of a channel."""
        return f"{COMPLETED_FOLDER}/{case}_{channel:04d}{self._image_ending}"

    def completed_description(self, case: str, channel: int) -> str:
        """File beside a completed modality that says what it is."""
        return f"{COMPLETED_FOLDER}/{case}_{channel:04d}.json"

    def map_of(self, case: str, quantity: str, region: str) -> str:
        """File of a map of uncertainty: ``uncertainty/CASE_entropy_whole_tumor.nii.gz``."""
        return f"{UNCERTAINTY_FOLDER}/{case}_{quantity}_{plain_name(region)}{self._image_ending}"

    def expected(self, case: str, absent: Collection[str]) -> list[str]:
        """All files of a whole case, below the output folder.

        Args:
            case: Its name.
            absent: Modalities that it was segmented without.
        """
        files = [self.segmentation(case)]
        if self.save_probabilities:
            files += [f"{case}.npz", f"{case}.pkl"]
        files += self.expected_completed(case, absent)
        if self.sampling.save_uncertainty:
            quantities = ("entropy", "mutual_information") if self.sampling.num_samples else ("entropy",)
            files += [self.map_of(case, *what) for what in product(quantities, self.regions)]
        return files

    def expected_completed(self, case: str, absent: Collection[str]) -> list[str]:
        """Those of them that belong to completed modalities."""
        if self.sampling.save_completed is None:
            return []
        every = self.sampling.save_completed == "all"
        channels = [channel for channel, name in enumerate(self.modalities) if every or name in absent]
        images = [self.completed(case, channel) for channel in channels]
        return [*images, *(self.completed_description(case, channel) for channel in channels)]

    def tables(self) -> list[str]:
        """Tables of all cases that every case has a row in, below the output folder."""
        drawn = self.sampling.num_samples > 0
        known = None if self.calibration is None else self.calibration.calibration
        kept = {
            VOLUMES_NAME: drawn or known is not None,
            UNCERTAINTY_TABLE: drawn and self.sampling.save_uncertainty,
            QUALITY_NAME: known is not None and known.quality,
            CHECKS_NAME: known is not None and known.input_checks,
        }
        return [table for table, is_kept in kept.items() if is_kept]

    def write(
        self, prediction: CasePrediction, properties: dict, folder: str | os.PathLike, case: str
    ) -> dict[str, list[Row]]:
        """Write all files of a case.

        Args:
            prediction: On the preprocessed grid.
            properties: Those of the preprocessed case.
            folder: Where to; see `expected` for the names.
            case: Its name.

        Returns:
            The case's rows in tables of all cases, by the table's file below the output folder.
        """
        folder = Path(folder)
        self.write_completed(prediction, properties, folder, case)
        images: dict[str, np.ndarray] = {}
        for quantity in ("entropy", "mutual_information"):
            maps = getattr(prediction, quantity)
            if maps is not None:
                names = [self.map_of(case, quantity, region) for region in self.regions]
                images |= zip(names, self.on_case_grid(maps, properties), strict=True)
        for name, image in images.items():
            (folder / name).parent.mkdir(exist_ok=True)
            write_image(folder / name, image, properties)
        label_map = self._write_segmentation(prediction, properties, folder, case)
        return self._rows(prediction, properties, label_map)

    def _write_segmentation(self, prediction: CasePrediction, properties: dict, folder: Path, case: str) -> np.ndarray:
        """What nnU-Net's ``export_prediction_from_logits`` does, and a look at what it wrote; gives the label map."""
        converted = convert_predicted_logits_to_segmentation_with_correct_shape(
            prediction.logits,
            self.preparation.plans_manager,
            self.preparation.configuration_manager,
            self.preparation.label_manager,
            properties,
            self.save_probabilities,
        )
        label_map = converted
        if self.save_probabilities:
            label_map, probabilities = converted
            if self.sampling.calibrated and self.calibration is not None:
                subset = self.preparation.modalities.label(prediction.used)
                labels = None if self.preparation.label_manager.has_regions else list(self.regions.values())
                temperatures = self.calibration.temperatures(subset)
                probabilities = at_temperatures(np.asarray(probabilities), temperatures, labels)
            # nnU-Net's tools make label maps of them, on the grid of the pickle.
            np.savez_compressed(folder / f"{case}.npz", probabilities=as_stored(probabilities, properties))
            save_pickle(stored_properties(properties), str(folder / f"{case}.pkl"))
            for ending in (".npz", ".pkl"):
                require_whole(folder / f"{case}{ending}")
        reader = self.preparation.reader()
        write_label_map(label_map, folder / self.segmentation(case), properties, reader)
        return label_map

    def write_completed(self, prediction: CasePrediction, properties: dict, folder: Path, case: str) -> None:
        """Write the completed images of a case, and what they are, in a JSON file beside each.

        Args:
            prediction: On the preprocessed grid.
            properties: Those of the preprocessed case.
            folder: Where to; see `completed` for the names.
            case: Its name.
        """
        if not prediction.completed:
            return
        (folder / COMPLETED_FOLDER).mkdir(exist_ok=True)
        for channel, image in zip(prediction.completed, self.completed_images(prediction, properties), strict=True):
            file = folder / self.completed(case, channel)
            write_image(file, image, properties)
            used = [self.modalities[number] for number in prediction.used]
            entry = description(self.modalities[channel], used, self.scales[channel], prediction.draws)
            replace_json(folder / self.completed_description(case, channel), entry)

    def completed_images(self, prediction: CasePrediction, properties: dict) -> np.ndarray:
        """Completed images on the case's own grid, with intensities and background of real ones.

        Args:
            prediction: On the preprocessed grid.
            properties: Those of the preprocessed case.

        Returns:
            ``(len(prediction.completed), *spatial)``.

        Raises:
            ValueError: If the prediction holds none.
        """
        completion = prediction.completion
        if completion is None:
            raise ValueError("The prediction holds no completed images.")
        configuration = self.preparation.configuration_manager
        images = self.on_case_grid(completion, properties, configuration.resampling_fn_data)
        # Normalised inside the brain only, the zeros around it were mixed into its edge, here and in training.
        mixed = [configuration.use_mask_for_norm[channel] for channel in prediction.completed]
        shape = completion.shape[1:]
        resampled = tuple(shape) != tuple(properties["shape_after_cropping_and_before_resampling"])
        if resampled and any(mixed) and FOREGROUND in properties:
            images[mixed] /= self._share_of_foreground(properties, shape)
        return restored(images, [self.scales[channel] for channel in prediction.completed], properties)

    def _share_of_foreground(self, properties: dict, preprocessed_shape: Sequence[int]) -> np.ndarray:
        """How much of each voxel comes from inside nnU-Net's mask, once resampled to the preprocessed grid and back."""
        resample, plans = self.preparation.configuration_manager.resampling_fn_data, self.preparation.plans_manager
        shape = [properties["shape_before_cropping"][axis] for axis in plans.transpose_backward]
        # Holes are inside for nnU-Net, too.
        foreground = binary_fill_holes(unpacked(properties.get(NOT_ZERO, properties[FOREGROUND]), shape))
        foreground = foreground.transpose(plans.transpose_forward)
        cropped = foreground[tuple(slice(*limits) for limits in properties["bbox_used_for_cropping"])]
        own, preprocessed = self._spacings(properties)
        small = np.asarray(resample(cropped[None].astype(np.float32), preprocessed_shape, own, preprocessed))
        return self.on_case_grid(small, properties, resample)[0].clip(LEAST_SHARE, None)

    def _rows(self, prediction: CasePrediction, properties: dict, label_map: np.ndarray) -> dict[str, list[Row]]:
        rows: dict[str, list[Row]] = {}
        if prediction.statement is None:
            return rows
        voxel = voxel_size(properties)
        sizes = region_sizes(label_map, self.regions, voxel)
        intervals = self.intervals(prediction, properties)
        level = None if self.calibration is None else self.calibration.calibration.level
        rows[VOLUMES_NAME] = [volumes_row(sizes, prediction.draws, voxel.unit, intervals, level)]
        if self.sampling.save_uncertainty and prediction.volumes is not None:
            spread = spread_row(self.regions, prediction.volumes, voxel.unit)
            rows[UNCERTAINTY_TABLE] = [{**uncertainty_row(self.regions, prediction.statement.disagreement), **spread}]
        if level is not None and (quality := self.quality(prediction)):
            rows[QUALITY_NAME] = quality_rows(quality, level, self.demands.min_dice)
        if prediction.inputs:
            rows[CHECKS_NAME] = checks_rows(prediction.inputs)
        return rows

    def quality(self, prediction: CasePrediction) -> dict[str, PredictedDice]:
        """The Dice that each region is likely to have; empty without a calibration that predicts it.

        Args:
            prediction: On the preprocessed grid.
        """
        if self.calibration is None or prediction.statement is None:
            return {}
        said = said_by(self.calibration, prediction)
        return predicted_quality(self.calibration, self.preparation.modalities, prediction.used, said)

    def intervals(self, prediction: CasePrediction, properties: dict) -> dict[str, Interval] | None:
        """Intervals of the regions' sizes; None without a calibration.

        Args:
            prediction: On the preprocessed grid.
            properties: Those of the preprocessed case.
        """
        if self.calibration is None or prediction.statement is None:
            return None
        voxel = voxel_size(properties)
        if voxel.unit is None:
            unknown = Interval(None, None, 0, "nobody knows how large a pixel is")
            return dict.fromkeys(self.regions, unknown)
        said = said_by(self.calibration, prediction)
        return self.calibration.intervals(
            self.preparation.modalities.label(prediction.used),
            np.stack([of_fold.sizes for of_fold in said]),
            np.stack([of_fold.disagreement for of_fold in said]),
            VolumeScale(voxel.size, voxel.unit, image_size(properties)),
        )

    def statements(self, prediction: CasePrediction, properties: dict) -> dict[str, Any] | None:
        """What the intervals rest on, JSON types, for whoever makes others from it; None without a calibration.

        Args:
            prediction: On the preprocessed grid.
            properties: Those of the preprocessed case.
        """
        size = voxel_size(properties), image_size(properties)
        return statements_of(self.calibration, self.regions, prediction, *size)

    def on_case_grid(
        self, images: np.ndarray, properties: dict, resample: Callable[..., np.ndarray] | None = None
    ) -> np.ndarray:
        """Images from the preprocessed grid to the case's own; zero where nnU-Net cropped.

        Args:
            images: ``(C, *spatial)``.
            properties: Those of the preprocessed case.
            resample: One of the configuration's functions; default that of probabilities.
        """
        resample = resample or self.preparation.configuration_manager.resampling_fn_probabilities
        own, preprocessed = self._spacings(properties)
        shape = properties["shape_after_cropping_and_before_resampling"]
        resampled = np.asarray(resample(images, shape, preprocessed, own))
        full = np.zeros((len(images), *properties["shape_before_cropping"]), np.float32)
        box = (slice(None), *(slice(*limits) for limits in properties["bbox_used_for_cropping"]))
        full[box] = resampled
        return full.transpose([0, *(axis + 1 for axis in self.preparation.plans_manager.transpose_backward)])

    def _spacings(self, properties: dict) -> tuple[list[float], list[float]]:
        """Of the case's grid and of the preprocessed one, mm, axes as transposed by the plans."""
        own = [properties["spacing"][axis] for axis in self.preparation.plans_manager.transpose_forward]
        planned = self.preparation.configuration_manager.spacing
        # A 2D configuration leaves the first axis alone.
        return own, [*own[: len(own) - len(planned)], *planned]

    @property
    def _image_ending(self) -> str:
        ending = self.preparation.file_ending
        return ending if ending in NUMBERED_FORMATS else NUMBERED_FORMATS[0]


def write_image(file: str | os.PathLike, image: np.ndarray, properties: dict) -> None:
    """Write an image with decimals where a segmentation of nnU-Net's would lie in space; its writers know labels only.

    Args:
        file: Path to write.
        image: ``(*spatial)`` on the grid that the case was read on.
        properties: What the reader said about the case.

    Raises:
        OSError: If the disk did not take it as a whole.
    """
    image = as_stored(image, properties).astype(np.float32, copy=False)
    properties = stored_properties(properties)
    if "nibabel_stuff" in properties:
        nifti = _nifti(image.transpose(2, 1, 0), **properties["nibabel_stuff"])
        nibabel.save(nifti, file)
        require_written(
            file,
            np.asanyarray(nifti.dataobj),
            lambda path: np.asanyarray(nibabel.Nifti1Image.from_filename(path).dataobj),
        )
        return
    edges = properties["spacing"][1:] if is_two_dimensional(properties) else properties["spacing"]
    stored = properties.get("sitk_stuff", {"spacing": [float(edge) for edge in edges[::-1]]})
    if len(stored["spacing"]) == 2:
        image = image[0]
    itk_image = sitk.GetImageFromArray(image)
    itk_image.SetSpacing(stored["spacing"])
    if "origin" in stored:
        itk_image.SetOrigin(stored["origin"])
        itk_image.SetDirection(stored["direction"])
    if "original_orientation" in stored:
        itk_image = sitk.DICOMOrient(itk_image, stored["original_orientation"])
    sitk.WriteImage(itk_image, str(file), True)
    written = sitk.GetArrayViewFromImage(itk_image)
    require_written(file, written, lambda path: sitk.GetArrayFromImage(sitk.ReadImage(path)))


def _nifti(
    image: np.ndarray, original_affine: np.ndarray, reoriented_affine: np.ndarray | None = None
) -> nibabel.Nifti1Image:
    if reoriented_affine is None:
        return nibabel.Nifti1Image(image, original_affine)
    back = ornt_transform(axcodes2ornt("RAS"), io_orientation(original_affine))
    return nibabel.Nifti1Image(image, reoriented_affine).as_reoriented(back)
