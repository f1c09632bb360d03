"""What nnU-Net finds when it searches `nnUNet_extTrainer`: our trainers, re-exported.

nnU-Net removes this module from sys.modules after each look-up, so the classes must live outside this folder: only
then is a trainer the same class at each look-up and can be pickled. The folder holds nothing else, because nnU-Net
imports every module that it finds here.
"""

from nnunet_hetero.training.comparators import (
    HeMISTrainer,
    ModalityDropoutTrainer,
    MVAESamplingTrainer,
    SubsetTrainer,
    UHeMISTrainer,
)
from nnunet_hetero.training.paper_trainer import UHVEDPaperTrainer
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer

__all__ = [
    "HeMISTrainer",
    "HeteroModalVAETrainer",
    "MVAESamplingTrainer",
    "ModalityDropoutTrainer",
    "SubsetTrainer",
    "UHVEDPaperTrainer",
    "UHeMISTrainer",
]
