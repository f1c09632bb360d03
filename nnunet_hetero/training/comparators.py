"""Trainers to compare with: other networks or other draws of subsets, in the same training."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from nnunet_hetero.config import PLAN
from nnunet_hetero.modalities import mask_of
from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.feature_fusion import FeatureFusionUNet, UHeMIS
from nnunet_hetero.network.hemis import HeMIS
from nnunet_hetero.network.published.direct_completion import DirectCompletionUNet
from nnunet_hetero.network.variational import HeteroModalOutput
from nnunet_hetero.training.hetero_trainer import HeteroTrainer
from nnunet_hetero.training.vae_trainer import HeteroModalVAETrainer


class ModalityDropoutTrainer(HeteroTrainer):
    """Trains nnU-Net's own network with modalities dropped: the channels that are not drawn are zero."""

    network_class = EarlyFusionUNet


class SubsetTrainer(HeteroTrainer):
    """Trains nnU-Net's own network on one fixed subset of the modalities, the setting ``subset``.

    Trained on each of the 2^M - 1 subsets it is what Dorent et al., MICCAI 2019, call Single. A case that lacks a
    modality of the subset is trained with what it has of it.
    """

    network_class = EarlyFusionUNet
    one_subset = True

    def draw_subsets(self, present: Tensor) -> Tensor:
        """The fixed subset, of what each sample has."""
        return present & torch.from_numpy(mask_of(self.hetero.channels or (), len(self.modalities)))


class FeatureFusionTrainer(HeteroTrainer):
    """Trains `FeatureFusionUNet`: an encoder per modality, and the fusion of the setting ``fusion`` at every level.

    With it a fusion of one's own is trained, see `nnunet_hetero.network.fusions`. Encoders are as `UHeMISTrainer`'s.
    """

    network_class = FeatureFusionUNet

    @classmethod
    def default_settings(cls) -> dict[str, Any]:
        """The plan's convolutions and half its width at all levels of an encoder, where ours is wide and flat."""
        return {"finest_width": 0.5, "finest_convolutions": PLAN}


class UHeMISTrainer(FeatureFusionTrainer):
    """Trains `UHeMIS`: nnU-Net's encoders and decoder, with moments over the modalities as skips (Dorent et al., 2019).

    Each modality has an encoder of half the plan's width.
    """

    network_class = UHeMIS


class HeMISTrainer(HeteroTrainer):
    """Trains `HeMIS` (Havaei et al., MICCAI 2016), in the configuration 2d.

    Not of the paper: the training is nnU-Net's, with the same draw of subsets as the other trainers instead of a
    curriculum that begins with all modalities. The optimiser is Adam, since the network normalises nothing.
    """

    network_class = HeMIS
    any_patch_size = True
    deeply_supervised = False

    @classmethod
    def default_settings(cls) -> dict[str, Any]:
        """A small learning rate, which a network without normalisation bears."""
        return {"optimizer": "Adam", "initial_lr": 1e-3}


class DirectCompletionTrainer(HeteroModalVAETrainer):
    """Trains `DirectCompletionUNet`: nnU-Net's loss, and the squared error of the images, without latents."""

    network_class = DirectCompletionUNet

    @classmethod
    def default_settings(cls) -> dict[str, Any]:
        """Our network's, but images that weigh as much as the segmentation: both come from the same layers."""
        return {**super().default_settings(), "reconstruction_weight": 1.0}

    def loss_of(
        self, output: HeteroModalOutput, data: Tensor, target: Tensor | list[Tensor], present: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum itself is optimised; see `HeteroModalVAETrainer`."""
        _, terms = super().loss_of(output, data, target, present)
        return terms["total"], terms


class MVAESamplingTrainer(HeteroModalVAETrainer):
    """Trains `HeteroModalVAE` with all modalities, each single one and random subsets in every step.

    The sampling of Wu and Goodman, "Multimodal Generative Models for Scalable Weakly-Supervised Learning", NeurIPS
    2018, section 2.2. Their sum of losses is a mean here, so that learning rates mean the same with every trainer.
    """

    shows_singles = False  # they are among the subsets

    def draw_subsets(self, present: Tensor) -> Tensor:
        """All, each single modality, and as many draws as the setting ``random_subsets`` says, ``(N, B, M)``.

        Args:
            present: What each sample has, ``(B, M)`` bool on the host. In place of a single modality that it lacks it
                is shown with all that it has.
        """
        singles = [present & alone for alone in torch.eye(present.shape[1], dtype=torch.bool)]
        singles = [torch.where(single.any(dim=1, keepdim=True), single, present) for single in singles]
        draws = [super(MVAESamplingTrainer, self).draw_subsets(present) for _ in range(self.hetero.random_subsets)]
        return torch.stack([present, *singles, *draws])

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean over the subsets of the losses of `HeteroModalVAETrainer`."""
        with self.autocast():
            outputs = self.network(self.seen_in_training(data, drawn), drawn, full=True)
        found = [self.loss_of(output, data, target, present) for output in outputs]
        optimised = torch.stack([loss for loss, _ in found]).mean()
        means = {}
        for name in found[0][1]:
            means[name] = torch.stack([terms[name] for _, terms in found]).mean()
        return optimised, means
