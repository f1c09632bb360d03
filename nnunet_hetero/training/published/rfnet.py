"""RFNetTrainer: RFNet (Ding, Yu, Yang, ICCV 2021)."""

from __future__ import annotations

import torch
from torch import Tensor

from nnunet_hetero.network.published.region_aware import RegionAwareFusion, RegionAwareUNet
from nnunet_hetero.training.comparators import FeatureFusionTrainer


class RFNetTrainer(FeatureFusionTrainer):
    """Trains `RegionAwareUNet`: the segmentation, that of each modality alone, and the rough maps of all levels."""

    network_class = RegionAwareUNet

    def initialize(self) -> None:
        """Build the network, which is told whether regions overlap."""
        super().initialize()
        for module in self.unwrapped_network.modules():
            if isinstance(module, RegionAwareFusion):
                module.overlapping.fill_(self.label_manager.has_regions)

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `HeteroTrainer`; ``alone`` is the segmentation from single modalities, ``maps`` the rough maps' loss.

        All three are nnU-Net's loss, and weigh the same.
        """
        supervised = isinstance(target, list)
        finest = target[0] if isinstance(target, list) else target
        loss_of_level = self.loss.loss if supervised else self.loss
        with self.autocast():
            output = self.network(data, torch.stack([present.cpu(), drawn]))
            segmentation = self.loss(output.segmentation, target)
            alone = [loss_of_level(found, samples.pick(finest)) for samples, found in output.alone]
            maps = self.loss(output.maps, target) if supervised else self.loss(output.maps[0], finest)
        from_one = torch.stack(alone).mean() if alone else torch.zeros_like(segmentation)
        total = segmentation + from_one + maps
        return total, {"loss": segmentation, "total": total, "alone": from_one, "maps": maps}
