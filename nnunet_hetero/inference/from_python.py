"""Prediction of one case from Python: images in, arrays out, no files needed."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from nnunet_hetero.cases.case_images import NO_FILE, SWITCHED_OFF, CaseImages
from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.image_values import absence, require_usable
from nnunet_hetero.cases.preprocess import preprocess, read_case
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.engine.case_prediction import millilitres_per_voxel, predict_preprocessed
from nnunet_hetero.inference.engine.network_steps import completes_images
from nnunet_hetero.inference.output.volumes import PERCENTILES, region_volumes
from nnunet_hetero.nnunet.environment import set_ext_trainer

if TYPE_CHECKING:
    from typing import Self

    from nnunet_hetero.inference.predictor import HeteroModalPredictor

Image = str | os.PathLike | np.ndarray


@dataclass(frozen=True)
class Volume:
    """Volume of a region, millilitres.

    Args:
        millilitres: Of the segmentation.
        low: 2.5th percentile over the draws; None without draws.
        high: 97.5th percentile over the draws; None without draws.
    """

    millilitres: float
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Prediction:
    """What the model says about a case. All arrays lie on the case's own grid, axes as in the input, ``(z, y, x)``.

    Args:
        used: Names of the modalities that it was segmented from.
        segmentation: Label map.
        probabilities: ``(K, z, y, x)``, one map per region, or per label with background if the dataset has no regions.
        completed: Images of modalities by name, those that were missing, or all if the options say so; with intensities
            of real images if the model knows them. Empty for a model without image decoders.
        entropy: Predictive entropy by region, in nats.
        mutual_information: What the draws disagree about, by region, in nats; empty without draws.
        volumes: By region.
        disagreement: 1 - Dice between the draws and the segmentation of their mean, by region; empty without draws.
        properties: What nnU-Net's reader said about the grid, and what its preprocessing did.
    """

    used: tuple[str, ...]
    segmentation: np.ndarray
    probabilities: np.ndarray
    completed: dict[str, np.ndarray]
    entropy: dict[str, np.ndarray]
    mutual_information: dict[str, np.ndarray]
    volumes: dict[str, Volume]
    disagreement: dict[str, float]
    properties: dict


class PythonInterface:
    """The part of `HeteroModalPredictor` that needs no output folder."""

    @classmethod
    def from_model_folder(
        cls,
        folder: str | os.PathLike,
        folds: Sequence[int | str] | int | str | None = None,
        device: torch.device | str | None = None,
        checkpoint_name: str = "checkpoint_final.pth",
        **arguments,
    ) -> Self:
        """Load a trained model, ready to predict.

        Args:
            folder: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
            folds: One or several, an ensemble; None takes all that are there.
            device: Default CUDA if there is one, else the CPU.
            checkpoint_name: File name of the checkpoint.
            **arguments: Those of this class, e.g. ``options``, ``use_mirroring=False`` or ``tile_step_size``.

        Raises:
            SettingsError: As in `initialize_from_trained_model_folder`.
        """
        set_ext_trainer()
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        # nnU-Net prints where it looks for the trainer, and that the CPU is no GPU.
        with contextlib.redirect_stdout(io.StringIO()):
            predictor = cls(**{"device": device, "allow_tqdm": False, **arguments})
            predictor.initialize_from_trained_model_folder(str(folder), folds, checkpoint_name)
        return predictor

    def predict(
        self, images: Mapping[str, Image], spacing: Sequence[float] | None = None, case: str = ""
    ) -> Prediction:
        """Segment one case, complete what it lacks, and say how sure that is.

        Args:
            images: By modality, upper and lower case are the same; what is not given is missing. Either files, or
                arrays ``(z, y, x)`` as SimpleITK gives them, on one grid.
            spacing: With arrays: edges of a voxel in mm, in the order of the axes.
            case: With the options' seed it settles the draws. The result is that of the command if it is the case's
                name there.

        Raises:
            SettingsError: If a modality is unknown, or files and arrays are mixed.
            DataError: If an image cannot be used.

        Example:
            >>> predictor = HeteroModalPredictor.from_model_folder(model_folder, device="cpu")
            >>> prediction = predictor.predict({"T1c": t1c, "FLAIR": flair}, spacing=(1.0, 1.0, 1.0))
            >>> prediction.segmentation.shape == t1c.shape
            True
            >>> sorted(prediction.completed)
            ['T1', 'T2']
            >>> list(prediction.volumes)
            ['whole tumor', 'tumor core', 'enhancing tumor']
            >>> volume = prediction.volumes["whole tumor"]
            >>> volume.low <= volume.high
            True
        """
        return _predict(self, images, spacing, case)


def _predict(
    predictor: HeteroModalPredictor, images: Mapping[str, Image], spacing: Sequence[float] | None, case: str
) -> Prediction:
    modalities = predictor.modalities
    prepared = preprocess(
        _read(predictor, images, spacing, case),
        predictor.plans_manager,
        predictor.configuration_manager,
        predictor.dataset_json,
        predictor.landmarks,
    )
    completes = "missing" if completes_images(predictor.network) else None
    sampling = dataclasses.replace(
        predictor.sampling, save_completed=predictor.sampling.save_completed or completes, save_uncertainty=True
    )
    properties, data = prepared.properties, torch.from_numpy(prepared.data)
    voxel_volume = millilitres_per_voxel(properties, data.shape[1:])
    found = predict_preprocessed(predictor, data, case, sampling, voxel_volume)
    segmentation, probabilities = predictor.to_segmentation(found.logits, properties, return_probabilities=True)
    writer = predictor.writer()
    regions = writer.regions

    def by_region(maps: np.ndarray | None) -> dict[str, np.ndarray]:
        return {} if maps is None else dict(zip(regions, writer.on_case_grid(maps, properties), strict=True))

    completed = writer.completed_images(found, properties) if found.completed else ()
    millilitres = region_volumes(segmentation, regions, properties["spacing"])
    if found.volumes is None:
        volumes = {name: Volume(value) for name, value in millilitres.items()}
    else:
        limits = np.percentile(found.volumes, PERCENTILES, axis=0).T.tolist()
        volumes = {
            name: Volume(value, *limit) for (name, value), limit in zip(millilitres.items(), limits, strict=True)
        }
    disagreement = {} if found.disagreement is None else dict(zip(regions, found.disagreement.tolist(), strict=True))
    return Prediction(
        tuple(modalities.names[channel] for channel in found.used),
        segmentation,
        probabilities,
        {modalities.names[channel]: image for channel, image in zip(found.completed, completed, strict=True)},
        by_region(found.entropy),
        by_region(found.mutual_information),
        volumes,
        disagreement,
        properties,
    )


def _read(
    predictor: HeteroModalPredictor, images: Mapping[str, Image], spacing: Sequence[float] | None, case: str
) -> CaseImages:
    modalities = predictor.modalities
    modalities.parse(images)  # an unknown name, or one twice
    by_channel = {modalities.index(name): image for name, image in images.items()}
    arrays = [isinstance(image, np.ndarray) for image in by_channel.values()]
    if not by_channel:
        raise DataError(f"No image is given. Give at least one of {', '.join(modalities.names)}.")
    if any(arrays) and not all(arrays):
        raise SettingsError("Some images are files and some are arrays. Give files only, or arrays only.")
    if not all(arrays):
        if spacing is not None:
            raise SettingsError("The spacing is given, but the images are files, which have their own. Leave it out.")
        files = tuple(
            None if channel not in by_channel else os.fspath(by_channel[channel]) for channel in range(len(modalities))
        )
        reader = predictor.plans_manager.image_reader_writer_class()
        return read_case(Case(case, files), modalities, predictor.kept, reader)
    return _from_arrays(predictor, by_channel, spacing, case)


def _from_arrays(
    predictor: HeteroModalPredictor, by_channel: dict[int, np.ndarray], spacing: Sequence[float] | None, case: str
) -> CaseImages:
    modalities = predictor.modalities
    if spacing is None or len(spacing) != 3 or not all(edge > 0 for edge in spacing):
        raise SettingsError(
            f"The spacing is {spacing}. With arrays, give the edges of a voxel in mm, in the order of the axes, e.g. "
            "spacing=(1.0, 1.0, 1.0)."
        )
    shape = next(iter(by_channel.values())).shape
    data = np.zeros((len(modalities), *shape), np.float32)
    absent = {}
    for channel in range(len(modalities)):
        what = f"Case '{case}': the array of {modalities.names[channel]}"
        image = by_channel.get(channel)
        if image is None:
            absent[channel] = NO_FILE
            continue
        if image.ndim != 3 or image.shape != shape:
            raise DataError(f"{what} has shape {image.shape}; all must be 3D and of one shape, here {shape}.")
        if channel not in predictor.kept:
            absent[channel] = SWITCHED_OFF
            continue
        require_usable(image, what)
        reason = absence(image)
        if reason is None:
            data[channel] = image
        else:
            absent[channel] = reason
    if len(absent) == len(modalities):
        reasons = ", ".join(f"{modalities.names[channel]}: {reason}" for channel, reason in absent.items())
        raise DataError(f"Case '{case}' has no modality left ({reasons}).")
    grid = {"spacing": [float(edge) for edge in spacing]}
    properties = tuple(None if channel in absent else grid for channel in range(len(modalities)))
    return CaseImages(case, modalities, data, properties, absent)
