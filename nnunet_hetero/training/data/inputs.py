"""What a training sees of a preprocessed case: absent channels at zero, histograms standardised.

nnU-Net's preprocessed files stay as they are. Both happens when a part of a case is read, in the training, in its
validation, and in nnU-Net's validation after it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import nnunetv2
import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset, nnUNetDatasetNumpy
from nnunetv2.utilities.find_class_by_name import recursive_find_python_class
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_hetero.cases.histogram import standardise
from nnunet_hetero.cases.image_values import is_flat
from nnunet_hetero.io.checkpoints import trusted_by_environment
from nnunet_hetero.io.pickles import require_plain_pickle
from nnunet_hetero.training.data.unpacking import unpack

TOLERANCE = 1e-3
"""How far resampling may move the voxels of a constant image, in normalised units."""


@dataclass(frozen=True)
class InputRules:
    """How the images of preprocessed cases become the network's inputs.

    Args:
        normalised_zeros: By channel, what nnU-Net's normalisation makes of an image of zeros, where that is not zero
            again, as with CT. A channel that has this value throughout is absent.
        masked: Per channel, whether nnU-Net normalises by the mask of a case and leaves zeros outside of it.
        landmarks: Case → channel → landmarks of the preprocessed image; what is not in it is not standardised.
        standard: Channel → the standard scale.
    """

    normalised_zeros: Mapping[int, float]
    masked: Sequence[bool]
    landmarks: Mapping[str, Mapping[int, np.ndarray]] = field(default_factory=dict)
    standard: Mapping[int, Sequence[float]] = field(default_factory=dict)

    def absent_channels(self, images: Any) -> tuple[int, ...]:
        """Channels of a preprocessed case that were zero before nnU-Net normalised them, and are not now."""
        return tuple(
            channel
            for channel, value in self.normalised_zeros.items()
            if _throughout(images, channel, partial(_is_everywhere, value))
        )

    def flat_channels(self, images: Any) -> tuple[int, ...]:
        """Channels of a preprocessed case that have one value throughout, not zero: their images were constant."""
        return tuple(channel for channel in range(images.shape[0]) if _throughout(images, channel, is_flat))


def _throughout(images: Any, channel: int, holds: Callable[[np.ndarray], bool]) -> bool:
    # Nearly every image has content in its middle; the rest of a compressed file need not be read then.
    return holds(np.asarray(images[channel, images.shape[1] // 2])) and holds(np.asarray(images[channel]))


def _is_everywhere(value: float, part: np.ndarray) -> bool:
    return bool(np.all(np.abs(part - value) < TOLERANCE))


def normalised_zeros(configuration_manager: ConfigurationManager, intensities: Mapping[str, dict]) -> dict[int, float]:
    """What nnU-Net's normalisation makes of an image of zeros, by channel; only where that is not zero.

    Args:
        configuration_manager: nnU-Net's.
        intensities: The plans' ``foreground_intensity_properties_per_channel``.
    """
    folder = str(Path(nnunetv2.__path__[0]) / "preprocessing" / "normalization")
    found = {}
    for channel, scheme in enumerate(configuration_manager.normalization_schemes):
        scheme_class = recursive_find_python_class(folder, scheme, "nnunetv2.preprocessing.normalization")
        normalisation = scheme_class(configuration_manager.use_mask_for_norm[channel], intensities[str(channel)])
        zeros = np.zeros((1, 1, 1), np.float32)
        value = float(normalisation.run(zeros, np.zeros_like(zeros)).item())
        if value:
            found[channel] = value
    return found


class PreparedImages:
    """The images of a case, read and prepared part by part; indexed like nnU-Net's array ``(M, *spatial)``.

    Args:
        images: nnU-Net's array, compressed on disk.
        segmentation: Its label map ``(1, *spatial)``, negative outside of the case's mask.
        rules: How to prepare them.
        absent: Channels that read as zeros.
        landmarks: By channel, of the images to standardise.
    """

    def __init__(self, images: Any, segmentation: Any, rules: InputRules, absent: Sequence[int], landmarks: Mapping):
        self._images = images
        self._segmentation = segmentation
        self._rules = rules
        self._absent = absent
        self._landmarks = landmarks
        self.shape = images.shape
        self.ndim = images.ndim
        self.dtype = images.dtype

    def __getitem__(self, key: Any) -> np.ndarray:
        channels, *place = key if isinstance(key, tuple) else (key,)
        # nnU-Net's arrays may be memory-mapped and read-only.
        part = np.array(self._images[key])
        numbers = np.arange(self.shape[0])[channels]
        views = [part] if np.ndim(numbers) == 0 else list(part)
        inside: np.ndarray | None = None
        of_label_map = (0, *place)
        for channel, view in zip(np.atleast_1d(numbers).tolist(), views, strict=True):
            if channel in self._absent:
                view[...] = 0
            elif channel in self._landmarks:
                where: Any = Ellipsis
                if self._rules.masked[channel]:
                    if inside is None:
                        inside = np.asarray(self._segmentation[of_label_map]) >= 0
                    where = inside
                standard = self._rules.standard[channel]
                view[where] = standardise(view[where], self._landmarks[channel], standard)
        return part


class PreparedDataset(nnUNetBaseDataset):
    """One of nnU-Net's datasets whose cases are loaded as `PreparedImages`.

    Args:
        dataset: nnU-Net's.
        rules: How to prepare the cases.

    Attributes:
        constant: Of the cases that were loaded so far, the channels whose images were constant, but not zero. They are
            absent, as in prediction.
        locations: By case, what takes the place of nnU-Net's ``class_locations``, around which patches are taken.
        loaded: The case that was loaded last.
    """

    def __init__(self, dataset: nnUNetBaseDataset, rules: InputRules):
        self.dataset = dataset
        self.rules = rules
        self.source_folder = dataset.source_folder
        self.folder_with_segs_from_previous_stage = dataset.folder_with_segs_from_previous_stage
        self.identifiers = dataset.identifiers
        self.constant: dict[str, tuple[int, ...]] = {}
        self.locations: Mapping[str, dict[Any, Any]] = {}
        self.loaded = ""
        self._absent: dict[str, tuple[int, ...]] = {}

    def load_case(self, identifier: str) -> tuple:
        """What nnU-Net's dataset loads, its images prepared.

        Raises:
            SettingsError: If nnU-Net's pickle of the case could run code.
        """
        self.loaded = identifier
        if identifier not in self._absent:
            require_plain_pickle(Path(self.source_folder) / f"{identifier}.pkl", trusted_by_environment())
        images, segmentation, previous, properties = self.dataset.load_case(identifier)
        if identifier not in self._absent:
            self._absent[identifier] = self.rules.absent_channels(images)
            flat = set(self.rules.flat_channels(images)) - set(self._absent[identifier])
            if flat:
                self.constant[identifier] = tuple(sorted(flat))
                self._absent[identifier] += self.constant[identifier]
        absent, landmarks = self._absent[identifier], self.rules.landmarks.get(identifier, {})
        if absent or landmarks:
            images = PreparedImages(images, segmentation, self.rules, absent, landmarks)
        if identifier in self.locations:
            properties = {**properties, "class_locations": self.locations[identifier]}
        return images, segmentation, previous, properties

    def save_case(self, *arguments: Any, **keywords: Any) -> None:
        """Not for this: nnU-Net's preprocessing writes cases."""
        raise NotImplementedError

    def get_identifiers(self, folder: str) -> list[str]:
        """Cases in a folder."""
        return self.dataset.get_identifiers(folder)


class PreparedDatasets:
    """Stands where nnU-Net's trainer has the class of its datasets, and makes `PreparedDataset`s.

    Args:
        dataset_class: nnU-Net's.
        rules: How to prepare the cases.
    """

    def __init__(self, dataset_class: type[nnUNetBaseDataset], rules: InputRules):
        self.dataset_class = dataset_class
        self.rules = rules
        self.get_identifiers = dataset_class.get_identifiers
        self._latest: PreparedDataset | None = None

    def __call__(self, *arguments: Any, **keywords: Any) -> PreparedDataset:
        """Make the dataset of a folder; arguments as of nnU-Net's class."""
        self._latest = PreparedDataset(self.dataset_class(*arguments, **keywords), self.rules)
        return self._latest

    def unpack_dataset(
        self, folder: str, overwrite_existing: bool = False, num_processes: int = 1, verify: bool = True
    ) -> None:
        """nnU-Net's, which the trainer calls before it starts; see `unpack`."""
        if issubclass(self.dataset_class, nnUNetDatasetNumpy):
            unpack(folder, num_processes)
        else:
            self.dataset_class.unpack_dataset(folder, overwrite_existing, num_processes, verify)

    @property
    def loaded(self) -> str:
        """The case that was loaded last from the dataset that was made last."""
        return self._latest.loaded if self._latest else ""
