"""Our trainers' names and folder, and nnU-Net's variable that points there.

This module is loaded at each start of an activated interpreter, so it imports nothing but `os`.
"""

from __future__ import annotations

import os

EXT_TRAINER = "nnUNet_extTrainer"
"""nnU-Net's official variable: folders with trainers, separated like PATH."""

DEFAULT_TRAINER = "HeteroModalVAETrainer"
OUR_TRAINERS = {
    DEFAULT_TRAINER: "nnunet_hetero.training.vae_trainer:HeteroModalVAETrainer",
    "DeMoSegTrainer": "nnunet_hetero.training.published.demoseg:DeMoSegTrainer",
    "DirectCompletionTrainer": "nnunet_hetero.training.comparators:DirectCompletionTrainer",
    "FeatureFusionTrainer": "nnunet_hetero.training.comparators:FeatureFusionTrainer",
    "HeMISTrainer": "nnunet_hetero.training.comparators:HeMISTrainer",
    "M3AETrainer": "nnunet_hetero.training.published.m3ae:M3AETrainer",
    "MVAESamplingTrainer": "nnunet_hetero.training.comparators:MVAESamplingTrainer",
    "ModDropPlusTrainer": "nnunet_hetero.training.published.moddrop_plus:ModDropPlusTrainer",
    "ModalityDropoutTrainer": "nnunet_hetero.training.comparators:ModalityDropoutTrainer",
    "RFNetTrainer": "nnunet_hetero.training.published.rfnet:RFNetTrainer",
    "SubsetTrainer": "nnunet_hetero.training.comparators:SubsetTrainer",
    "UHVEDPaperTrainer": "nnunet_hetero.training.paper_trainer:UHVEDPaperTrainer",
    "UHeMISTrainer": "nnunet_hetero.training.comparators:UHeMISTrainer",
}
"""Every trainer of ours, and where it is; the trainer folder, the benchmarks and the reference follow from this table.

Those of other packages are known to `nnunet_hetero.training.trainers`.
"""


def trainer_folder() -> str:
    """Absolute path of the folder that nnU-Net searches for our trainers."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    return os.path.join(package, "integration", "trainer_folder")


def ext_trainer_value(current: str | None) -> str:
    """What `nnUNet_extTrainer` must hold: what the user had, and our folder after it, once.

    Args:
        current: What it holds now; None or an empty text if it is not set.
    """
    if not current:
        return trainer_folder()
    if is_in_ext_trainer(current):
        return current
    return current.rstrip(os.pathsep) + os.pathsep + trainer_folder()


def is_in_ext_trainer(value: str | None) -> bool:
    """Whether our folder is among the folders of a value of `nnUNet_extTrainer`."""
    ours = os.path.normcase(trainer_folder())
    entries = (value or "").split(os.pathsep)
    return any(entry.strip() and os.path.normcase(os.path.abspath(entry.strip())) == ours for entry in entries)


def set_ext_trainer() -> None:
    """Make this process, and those that it starts, find our trainers."""
    os.environ[EXT_TRAINER] = ext_trainer_value(os.environ.get(EXT_TRAINER))
