"""All trainers by name: ours, and those of other packages.

Another package offers one by an entry point of the group ``nnunet_hetero.trainers`` whose name is the trainer's, a
script by ``TRAINERS.register``. nnU-Net's commands then know it by ``-tr`` as they know ours.
"""

from __future__ import annotations

from nnunet_hetero.nnunet.environment import OUR_TRAINERS
from nnunet_hetero.registry import Registry
from nnunet_hetero.training.hetero_trainer import HeteroTrainer

GROUP = "nnunet_hetero.trainers"

TRAINERS: Registry[type[HeteroTrainer]] = Registry(
    GROUP,
    "trainer",
    OUR_TRAINERS,
    lambda found: isinstance(found, type) and issubclass(found, HeteroTrainer),
    "a class built on nnunet_hetero.training.hetero_trainer.HeteroTrainer",
    lambda trainer: trainer.__name__,  # nnU-Net writes that into checkpoints and the names of folders
)
"""By the names that ``-tr`` knows."""
