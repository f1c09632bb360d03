"""What a case goes through on its way into a model: plans, configuration, dataset and histogram landmarks together."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from nnunetv2.imageio.base_reader_writer import BaseReaderWriter
from nnunetv2.utilities.label_handling.label_handling import LabelManager
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager

from nnunet_hetero.cases.histogram import Landmarks
from nnunet_hetero.cases.oriented_reader import OrientedReader
from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import Modalities


@dataclass(frozen=True)
class Preparation:
    """How the images of a case become a model's input; it is sent to background processes.

    Args:
        plans_manager: nnU-Net's, of ``plans.json``.
        configuration_manager: nnU-Net's, of the configuration that was trained.
        dataset_json: Content of ``dataset.json``.
        landmarks: Histogram landmarks that images are standardised to, see `nnunet_hetero.cases.histogram`; None if
            they are not, or if the landmarks are not known.
        orientation: Of the model's training images, see `nnunet_hetero.cases.orientation`; None if they had none, as
            pictures, or if it is not known: then cases are taken as their files store them.
    """

    plans_manager: PlansManager
    configuration_manager: ConfigurationManager
    dataset_json: dict
    landmarks: Landmarks | None = None
    orientation: str | None = None

    @cached_property
    def modalities(self) -> Modalities:
        """Those of the dataset."""
        return Modalities.from_dataset_json(self.dataset_json)

    @cached_property
    def label_manager(self) -> LabelManager:
        """nnU-Net's, of the dataset."""
        return self.plans_manager.get_label_manager(self.dataset_json)

    @property
    def file_ending(self) -> str:
        """Of the dataset's files, such as ``.nii.gz``."""
        return self.dataset_json["file_ending"]

    def reader(self) -> BaseReaderWriter:
        """What reads and writes the dataset's files: nnU-Net's, in the model's orientation if it has one."""
        reader = self.plans_manager.image_reader_writer_class()
        return reader if self.orientation is None else OrientedReader(reader, self.orientation)

    def required_landmarks(self) -> Landmarks | None:
        """The landmarks, or None if the model was trained without.

        Raises:
            SettingsError: If it was trained with landmarks, and they are not known.
        """
        if self.landmarks is None and standardises(self.configuration_manager):
            raise landmarks_unknown("The model was not loaded from its folder")
        return self.landmarks


def standardises(configuration_manager: ConfigurationManager) -> bool:
    """Whether a model of this configuration standardises histograms."""
    return HeteroModalConfig.from_plans(configuration_manager).histogram_standardisation


def landmarks_unknown(reason: str) -> SettingsError:
    """The error for a model whose landmarks are not there.

    Args:
        reason: Why, the start of the message.
    """
    return SettingsError(
        f"{reason}, so its histogram landmarks are unknown. Its plans say that it was trained on images with "
        "standardised histograms (hetero_modal.histogram_standardisation), so without them its predictions would "
        "be wrong. Put back the checkpoint that the training wrote, or train again."
    )
