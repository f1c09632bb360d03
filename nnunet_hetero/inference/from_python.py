"""Prediction of one case from Python: images in, arrays out, no files needed."""

from __future__ import annotations

import dataclasses
import importlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.geometry import array_properties
from nnunet_hetero.cases.image_files import require_file
from nnunet_hetero.cases.oriented_reader import as_stored, stored_properties
from nnunet_hetero.cases.preprocess import preprocess, read_case
from nnunet_hetero.cases.tissue import warn_of_odd_backgrounds
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.engine.case_prediction import (
    checked_inputs,
    predict_preprocessed,
    preprocessed_voxel_size,
    require_calibration,
)
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.output.statements import at_temperatures
from nnunet_hetero.inference.output.volumes import limits_of, region_sizes
from nnunet_hetero.nnunet.extent import MILLILITRES, SQUARE_MILLIMETRES, voxel_size
from nnunet_hetero.nnunet.regions import Region
from nnunet_hetero.reliability.input_verdict import InputVerdict, warning
from nnunet_hetero.reliability.quality import PredictedDice

Image = str | os.PathLike | np.ndarray
Spacing = Sequence[float] | None
Affine = np.ndarray | None


@dataclass(frozen=True)
class Volume:
    """Volume of a region, millilitres.

    Args:
        millilitres: Of the segmentation; None for a 2D image, which has none.
        low: Lower limit of its interval, see `nnunet_hetero.calibration`; None if there is none.
        high: Upper limit; None if there is none.
    """

    millilitres: float | None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Area:
    """Area of a region of a 2D image, mm².

    Args:
        square_millimetres: Of the segmentation.
        low: Lower limit of its interval, see `nnunet_hetero.calibration`; None if there is none.
        high: Upper limit; None if there is none.
    """

    square_millimetres: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Prediction:
    """What the model says about a case. All arrays lie on the case's own grid, axes as in the input: ``(z, y, x)`` for
    files.

    Args:
        used: Names of the modalities that it was segmented from.
        segmentation: Label map.
        probabilities: ``(K, z, y, x)``, one map per region, or per label with background if the dataset has no regions.
        completed: Images of modalities by name, those that were missing, or all if the options say so; with intensities
            of real images if the model knows them. Empty for a model without image decoders.
        entropy: Predictive entropy by region, in nats.
        mutual_information: What the draws disagree about, by region, in nats; empty without draws.
        volumes: By region.
        areas: By region, of a 2D image whose file says how large its pixels are; else empty.
        disagreement: 1 - Dice between the draws and the segmentation of their mean, by region; empty without draws.
        properties: What nnU-Net's reader said about the grid, and what its preprocessing did.
        images: Those that it was segmented from, by modality, as they were given.
        regions: Label values by region.
        case: Its name, as it was given.
        quality: The Dice that each region is likely to have; empty without a calibration that predicts it.
        inputs: Whether each image is what its name says; empty without a calibration that knows.
        absent: Why each other modality was not used, by name: ``no file``, ``switched off``, ``empty image`` or
            ``constant image``.
    """

    used: tuple[str, ...]
    segmentation: np.ndarray
    probabilities: np.ndarray
    completed: dict[str, np.ndarray]
    entropy: dict[str, np.ndarray]
    mutual_information: dict[str, np.ndarray]
    volumes: dict[str, Volume]
    areas: dict[str, Area]
    disagreement: dict[str, float]
    properties: dict
    images: dict[str, np.ndarray] = field(default_factory=dict, repr=False)
    regions: dict[str, Region] = field(default_factory=dict)
    case: str = ""
    quality: dict[str, PredictedDice] = field(default_factory=dict)
    inputs: tuple[InputVerdict, ...] = ()
    absent: dict[str, str] = field(default_factory=dict)

    def view(self, height: int = 720) -> Any:
        """The page of the case, for a notebook: leave it as the last line of a cell. Needs the extra ``[viewer]``.

        Args:
            height: Of the frame, in pixels.

        Returns:
            An object that a notebook shows; ``nnunet_hetero.viewer.notebook.page_of`` gives the page as text.

        Raises:
            SettingsError: If nilearn or IPython is not installed.
        """
        # Found when it is asked for: pages are made above, from what stands here.
        return importlib.import_module("nnunet_hetero.viewer.notebook").show(self, height)


def predict_images(
    model: LoadedModel, images: Mapping[str, Image], spacing: Spacing = None, case: str = "", affine: Affine = None
) -> Prediction:
    """See `HeteroModalPredictor.predict`.

    Args:
        model: The model.
        images: Files or arrays, by modality.
        spacing: With arrays: edges of a voxel in mm.
        case: Its name.
        affine: With arrays: where they lie.

    Raises:
        SettingsError: If a modality is unknown, files and arrays are mixed, spacing and affine do not do, or calibrated
            probabilities are asked for of a model without a calibration.
        DataError: If an image cannot be used.
    """
    require_calibration(model)
    modalities = model.modalities
    read = _read(model, images, spacing, case, affine)
    warn_of_odd_backgrounds(read, model.preparation)
    prepared = preprocess(read, model.preparation)
    completes = "missing" if model.network.completes_images else None
    sampling = dataclasses.replace(
        model.sampling, save_completed=model.sampling.save_completed or completes, save_uncertainty=True
    )
    properties, data = prepared.properties, torch.from_numpy(prepared.data)
    voxel_volume = preprocessed_voxel_size(properties, data.shape[1:]) if model.measures_regions else None
    inputs = checked_inputs(model, data, case)
    if doubt := warning(case, inputs):
        print(f"WARNING: {doubt}", flush=True)
    found = predict_preprocessed(model, data, case, sampling, voxel_volume)
    segmentation, probabilities = model.to_segmentation(found.logits, properties, return_probabilities=True)
    writer = CaseWriter.of_model(model)
    if model.sampling.calibrated and model.calibration is not None:
        labels = None if model.label_manager.has_regions else list(writer.regions.values())
        temperatures = model.calibration.temperatures(model.modalities.label(found.used))
        probabilities = at_temperatures(np.asarray(probabilities), temperatures, labels)
    regions = writer.regions

    def by_region(maps: np.ndarray | None) -> dict[str, np.ndarray]:
        return {} if maps is None else dict(zip(regions, stored(writer.on_case_grid(maps, properties)), strict=True))

    def stored(array: np.ndarray) -> np.ndarray:
        return as_stored(array, properties)

    completed = stored(writer.completed_images(found, properties)) if found.completed else ()
    voxel = voxel_size(properties)
    sizes = region_sizes(segmentation, regions, voxel)
    intervals = writer.intervals(found, properties) or {}
    measured = {name: (size, limits_of(intervals.get(name), size)) for name, size in sizes.items()}
    volumes = dict.fromkeys(sizes, Volume(None))
    areas = {}
    if voxel.unit == MILLILITRES:
        volumes = {name: Volume(size, *limit) for name, (size, limit) in measured.items()}
    elif voxel.unit == SQUARE_MILLIMETRES:
        areas = {name: Area(size, *limit) for name, (size, limit) in measured.items()}
    disagreement = {} if found.disagreement is None else dict(zip(regions, found.disagreement.tolist(), strict=True))
    return Prediction(
        tuple(modalities.names[channel] for channel in found.used),
        stored(segmentation),
        stored(probabilities),
        {modalities.names[channel]: image for channel, image in zip(found.completed, completed, strict=True)},
        by_region(found.entropy),
        by_region(found.mutual_information),
        volumes,
        areas,
        disagreement,
        stored_properties(properties),
        {modalities.names[channel]: stored(read.data[channel]) for channel in found.used},
        dict(regions),
        case,
        writer.quality(found),
        inputs,
        {modalities.names[channel]: reason for channel, reason in sorted(prepared.absent.items())},
    )


def _read(model: LoadedModel, images: Mapping[str, Image], spacing: Spacing, case: str, affine: Affine) -> CaseImages:
    modalities = model.modalities
    modalities.parse(images)  # an unknown name, or one twice
    by_channel = {modalities.index(name): image for name, image in images.items()}
    arrays = {channel: image for channel, image in by_channel.items() if isinstance(image, np.ndarray)}
    files = {channel: image for channel, image in by_channel.items() if not isinstance(image, np.ndarray)}
    if not by_channel:
        raise DataError(f"No image is given. Give at least one of {', '.join(modalities.names)}.")
    if arrays and files:
        raise SettingsError("Some images are files and some are arrays. Give files only, or arrays only.")
    if files:
        if spacing is not None or affine is not None:
            given = "spacing" if affine is None else "affine"
            raise SettingsError(f"The {given} is given, but the images are files, which have their own. Leave it out.")
        found = {channel: _path(file, modalities.names[channel]) for channel, file in files.items()}
        paths = tuple(found.get(channel) for channel in range(len(modalities)))
        reader = model.preparation.reader()
        return read_case(Case(case, paths), modalities, model.kept, reader)
    grid = array_properties(next(iter(arrays.values())).shape, spacing, affine)
    return CaseImages.of_arrays(case, modalities, arrays, grid, model.kept, model.orientation)


def _path(file: object, name: str) -> str:
    """The path of an image that is no array."""
    if not isinstance(file, (str, os.PathLike)):
        raise SettingsError(
            f"{name} is given as {type(file).__name__}; expected is a file or a numpy array. Give a tensor as "
            "tensor.numpy(), and an image of SimpleITK as its file, or as its array with its affine."
        )
    require_file(file, name)
    return os.fspath(file)
