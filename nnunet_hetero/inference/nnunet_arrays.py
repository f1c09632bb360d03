"""nnU-Net's Python entry points for arrays: through the preparation of this package, or refused.

nnU-Net's own preprocessing knows no absent modality: it makes a constant of an absent CT, which the network would take
for an image, and it does not standardise histograms.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.image_values import is_flat
from nnunet_hetero.cases.oriented_reader import stored_orientation
from nnunet_hetero.cases.preparation import standardises
from nnunet_hetero.cases.preprocess import PreparedCase, preprocess
from nnunet_hetero.cases.tissue import FOREGROUND, warn_of_odd_backgrounds
from nnunet_hetero.errors import DataError, HeteroError, SettingsError, the_case
from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.model import LoadedModel
from nnunet_hetero.inference.output.modality_record import record

INSTEAD = (
    "Let this predictor prepare the images: predict, predict_from_files, predict_single_npy_array or "
    "predict_from_list_of_npy_arrays."
)
READERS_NOTES = {"SimpleITK": "sitk_stuff", "Nibabel": "nibabel_stuff"}
"""What nnU-Net's readers, by the beginning of their names, keep in a case's properties, and its writers need."""


class ArrayEntryPoints(nnUNetPredictor):
    """nnU-Net's methods for arrays, for a predictor that has a `model`."""

    failed: dict[str, str]

    @property
    def model(self) -> LoadedModel:
        """The model as it is now; whoever inherits this class says which."""
        raise NotImplementedError

    def predict_logits_from_preprocessed_data(self, data: torch.Tensor) -> torch.Tensor:
        """Logits whose softmax (or sigmoid) is the mean probability of all folds, ``(K, *spatial)``."""
        return _logits(self.model, data)

    def predict_sliding_window_return_logits(self, input_image: torch.Tensor) -> torch.Tensor:
        """The same for the weights that the network has at present."""
        model = self.model
        return _logits(dataclasses.replace(model, parameters=(model.network.state_dict(),)), input_image)

    def get_data_iterator_from_raw_npy_data(
        self,
        image_or_list_of_images: np.ndarray | list[np.ndarray],
        segs_from_prev_stage_or_list_of_segs_from_prev_stage: Any,
        properties_or_list_of_properties: dict | list[dict],
        truncated_ofname: str | list[str] | None,
        num_processes: int = 3,
    ) -> Iterator[dict[str, Any]]:
        """See nnU-Net; prepares the images one after the other in this process, whatever ``num_processes``.

        Raises:
            SettingsError: If a previous stage is given, lists have different lengths, or properties do not do.
            DataError: If an image cannot be used, once it is its turn.
        """
        images = image_or_list_of_images
        images = list(images) if isinstance(images, (list, tuple)) else [images]
        properties = properties_or_list_of_properties
        properties = [properties] if isinstance(properties, dict) else list(properties)
        outputs: Sequence[str | None] = (
            [truncated_ofname] if isinstance(truncated_ofname, str) else truncated_ofname or [None] * len(images)
        )
        _refuse_previous_stage(segs_from_prev_stage_or_list_of_segs_from_prev_stage)
        if not len(images) == len(properties) == len(outputs):
            raise SettingsError(
                f"There are {len(images)} image(s), {len(properties)} properties and {len(outputs)} output file(s). "
                "Give one of each for every case."
            )
        for of_case, output in zip(properties, outputs, strict=True):
            _require_properties(self.model, of_case, output)
            if output is not None:
                os.makedirs(os.path.dirname(output) or os.curdir, exist_ok=True)
        return _prepared(self.model, images, properties, outputs)

    def predict_single_npy_array(
        self,
        input_image: np.ndarray,
        image_properties: dict,
        segmentation_previous_stage: np.ndarray | None = None,
        output_file_truncated: str | None = None,
        save_or_return_probabilities: bool = False,
    ) -> Any:
        """See nnU-Net; ``input_image`` has one channel per modality, ``(M, z, y, x)``, zeros for an absent one.

        Raises:
            SettingsError: As in `get_data_iterator_from_raw_npy_data`.
            DataError: If the image cannot be used, or not written.
        """
        items = self.get_data_iterator_from_raw_npy_data(
            input_image, segmentation_previous_stage, image_properties, output_file_truncated
        )
        self.failed = {}
        results = self.predict_from_data_iterator(items, save_or_return_probabilities, 0)
        for reason in self.failed.values():
            raise DataError(reason)
        return results[0]


def _logits(model: LoadedModel, data: torch.Tensor) -> torch.Tensor:
    require_prepared(model, data, {}, "")
    sampling = SamplingOptions(model.sampling.num_samples, model.sampling.seed)
    return torch.from_numpy(predict_preprocessed(model, data, "", sampling).logits)


def _refuse_previous_stage(segmentations: Any) -> None:
    given = segmentations if isinstance(segmentations, (list, tuple)) else [segmentations]
    if any(segmentation is not None for segmentation in given):
        raise SettingsError(
            "A previous stage's segmentation is given, but hetero-modal models are no cascades: it is no modality that "
            "could be missing. Leave it out."
        )


def _require_properties(model: LoadedModel, properties: dict, output: str | None) -> None:
    if "spacing" not in properties or len(properties["spacing"]) != 3:
        raise SettingsError(
            f"The properties of an image have no 'spacing' of three numbers (mm, in the order of its axes): "
            f"{properties}."
        )
    reader = model.preparation.plans_manager.image_reader_writer_class.__name__
    needed = next((note for begin, note in READERS_NOTES.items() if reader.startswith(begin)), None)
    if output is not None and needed is not None and needed not in properties:
        raise SettingsError(
            f"The properties of {output} have no '{needed}', without which {reader} cannot write the result. Give "
            "what the reader gave, or no output file."
        )


def _prepared(
    model: LoadedModel, images: Sequence[np.ndarray], properties: Sequence[dict], outputs: Sequence[str | None]
) -> Iterator[dict[str, Any]]:
    for number, (image, of_case, output) in enumerate(zip(images, properties, outputs, strict=True), 1):
        name = "" if output is None else os.path.basename(output)
        try:
            prepared = _prepared_case(model, image, of_case, name)
        except HeteroError as error:
            if name or len(images) == 1:
                raise
            raise type(error)(f"Image {number} of {len(images)}: {error}") from error
        yield {
            "data": torch.from_numpy(prepared.data),
            "data_properties": prepared.properties,
            "ofile": output,
            "name": name,
            "record": record(prepared, model.modalities),
        }


def _prepared_case(model: LoadedModel, image: np.ndarray, properties: dict, name: str) -> PreparedCase:
    _require_channels(model, image.shape, name)
    channels = dict(enumerate(np.asarray(image)))
    read = CaseImages.of_arrays(name, model.modalities, channels, properties, model.kept, model.orientation)
    warn_of_odd_backgrounds(read, model.preparation)
    return preprocess(read, model.preparation)


def _require_channels(model: LoadedModel, shape: Sequence[int], case: str) -> None:
    names = model.modalities.names
    if len(shape) != 4 or shape[0] != len(names):
        raise DataError(
            f"{the_case(case)} has the shape {tuple(shape)}; expected is (channel, z, y, x) with {len(names)} "
            f"channels: {', '.join(names)}. An absent modality is a channel of zeros."
        )


def require_prepared(model: LoadedModel, data: torch.Tensor, properties: dict, case: str) -> None:
    """Refuse input that nnU-Net has prepared, where that is not what the network knows.

    Args:
        model: The model.
        data: ``(M, *spatial)``.
        properties: Those of the case; what this package has prepared is known by them, and taken.
        case: Its name.

    Raises:
        DataError: If the number of channels is wrong, or a channel is constant: an absent modality that nnU-Net's
            normalisation has shifted.
        SettingsError: If the model standardises histograms, the case has another orientation than the model, or a
            modality is there that its options switch off.
    """
    _require_channels(model, data.shape, case)
    if FOREGROUND in properties:
        return
    flat = [channel for channel, image in enumerate(data) if is_flat(image.cpu().numpy())]
    if flat:
        raise DataError(
            f"{the_case(case)}: {model.modalities.label(flat)} has one value throughout, not 0. So nnU-Net's "
            f"normalisation leaves an absent modality, which is a channel of zeros for the network. {INSTEAD}"
        )
    if standardises(model.preparation.configuration_manager):
        raise SettingsError(
            f"{the_case(case)}: the model was trained on images with standardised histograms, and nobody can tell "
            f"whether these are. {INSTEAD}"
        )
    stored = stored_orientation(properties)
    if model.orientation is not None and stored not in (None, model.orientation):
        raise SettingsError(
            f"{the_case(case)}: its images are stored in the orientation {stored}, in which nnU-Net has prepared them; "
            f"the model was trained on {model.orientation}. {INSTEAD}"
        )
    switched_off = [channel for channel, image in enumerate(data) if channel not in model.kept and bool(image.any())]
    if switched_off:
        raise SettingsError(
            f"{the_case(case)}: {model.modalities.label(switched_off)} is switched off, but the images were prepared "
            f"with it: it has taken part in cropping and normalisation. {INSTEAD}"
        )
