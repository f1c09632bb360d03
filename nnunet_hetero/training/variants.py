"""Trainers to compare with: other networks, seen through the same subsets, in the same training."""

from __future__ import annotations

from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.u_hemis import UHeMIS
from nnunet_hetero.training.base import HeteroTrainer


class ModalityDropoutTrainer(HeteroTrainer):
    """Trains nnU-Net's own network with modalities dropped: the channels that are not drawn are zero."""

    network_class = EarlyFusionUNet


class UHeMISTrainer(HeteroTrainer):
    """Trains `UHeMIS`: our encoders and decoder, with moments over the modalities as skips (Dorent et al., 2019)."""

    network_class = UHeMIS
