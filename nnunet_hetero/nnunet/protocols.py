"""What our modules ask of a trainer of nnU-Net that is handed to them."""

from __future__ import annotations

from typing import Any, Protocol

from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager, PlansManager


class LogOfFold(Protocol):
    """A trainer, as far as it has cases and a log.

    Attributes:
        dataset_json: Content of ``dataset.json``.
        fold: 0 to 4, or ``all``.
    """

    dataset_json: dict[str, Any]
    fold: int | str

    def print_to_log_file(self, *args: Any, **kwargs: Any) -> None:
        """Write a line into the training's log."""


class TrainerOfFold(LogOfFold, Protocol):
    """A trainer that is on its way into training or validation.

    Attributes:
        plans_manager: nnU-Net's.
        configuration_manager: nnU-Net's.
        preprocessed_dataset_folder_base: The dataset's folder in ``nnUNet_preprocessed``.
    """

    plans_manager: PlansManager
    configuration_manager: ConfigurationManager
    preprocessed_dataset_folder_base: str

    def do_split(self) -> tuple[list[str], list[str]]:
        """Training and validation cases of the fold."""
