"""DeMoSegTrainer: DeMoSeg (Yang et al., arXiv 2408.08708, 2024)."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor

from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.published.decoupled import DecoupledUNet, lenders_by_name
from nnunet_hetero.training.hetero_trainer import HeteroTrainer

STAND_IN_WEIGHT = 0.5
"""Of the divergence between stand-ins and what they stand in for; that of the authors' code."""


class DeMoSegTrainer(HeteroTrainer):
    """Trains `DecoupledUNet`: nnU-Net's loss, and stand-ins close to what they stand in for."""

    network_class: type[HeteroNetwork] = DecoupledUNet

    def initialize(self) -> None:
        """Build the network, which is told who stands in for whom."""
        super().initialize()
        network = cast(DecoupledUNet, self.unwrapped_network)
        network.lenders.copy_(torch.tensor(lenders_by_name(self.modalities.names)))

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `HeteroTrainer`; ``stand_in`` is `DecoupledUNet.stand_in_loss`."""
        with self.autocast():
            output = self.network(data, drawn, full=True)
            segmentation = self.loss(output.segmentation, target)
        total = segmentation + STAND_IN_WEIGHT * output.stand_in
        return total, {"loss": segmentation, "total": total, "stand_in": output.stand_in}
