"""M3AETrainer: M3AE (Liu et al., AAAI 2023)."""

from __future__ import annotations

import math
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional

from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.published.masked import MaskedUNet
from nnunet_hetero.training.data.blocks import visible_blocks
from nnunet_hetero.training.hetero_trainer import HeteroTrainer
from nnunet_hetero.training.optimization.losses import masked_l2

PRETRAINING = 0.3
"""Share of the epochs that reconstruct. The paper has two thirds of 900 epochs, too many for short trainings."""

HIDDEN = 0.875
"""Share of the blocks of a drawn modality that are hidden."""

SUBSTITUTE_WEIGHT = 0.005
"""Of the learned image's mean square."""

DISTILLATION_WEIGHT = 0.1
"""Of the squared difference between the deepest features of two subsets."""


class M3AETrainer(HeteroTrainer):
    """Trains `MaskedUNet`: first to reconstruct all images from parts of some, then to segment from two subsets alike.

    Both within the number of steps that any other trainer has.
    """

    network_class: type[HeteroNetwork] = MaskedUNet

    @property
    def pretraining(self) -> bool:
        """Whether this epoch is one that reconstructs."""
        return self.current_epoch < math.floor(PRETRAINING * self.num_epochs)

    def draw_subsets(self, present: Tensor) -> Tensor:
        """Two random subsets of what each sample has, ``(2, B, M)``."""
        return torch.stack([super().draw_subsets(present), super().draw_subsets(present)])

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `HeteroTrainer`; ``reconstruction`` in the pretraining, ``distillation`` after it, the other one is 0."""
        if self.pretraining:
            return self._reconstruct(data, present, drawn[0])
        with self.autocast():
            first, second = self.network(data, drawn)
            segmentation = (self.loss(first.segmentation, target) + self.loss(second.segmentation, target)) / 2
        distillation = functional.mse_loss(first.features.float(), second.features.float())
        total = segmentation + DISTILLATION_WEIGHT * distillation
        # The learned image is trained in the first phase alone; a distributed training waits for its gradient.
        total = total + 0.0 * cast(MaskedUNet, self.unwrapped_network).substitute.sum()
        terms = {"loss": segmentation, "total": total, "distillation": distillation}
        return total, {**terms, "reconstruction": torch.zeros_like(segmentation)}

    def _reconstruct(self, data: Tensor, present: Tensor, drawn: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        visible = visible_blocks(data, drawn.to(data.device), HIDDEN)
        with self.autocast():
            images = self.network(data, visible=visible)
        reconstruction = masked_l2(images, data, present)
        substitute = cast(MaskedUNet, self.unwrapped_network).substitute
        total = reconstruction + SUBSTITUTE_WEIGHT * substitute.square().mean()
        nothing = torch.zeros_like(reconstruction)
        terms = {"loss": nothing, "total": total, "distillation": nothing, "reconstruction": reconstruction}
        return total, terms
