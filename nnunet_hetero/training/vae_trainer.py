"""HeteroModalVAETrainer: trains the hetero-modal network with the paper's loss."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from nnunet_hetero.cases.intensities import training_moments
from nnunet_hetero.cases.intensity_scale import Moments
from nnunet_hetero.config import KEY
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.atomic_files import replace_json
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.network.latent_decoder import LatentDecoder
from nnunet_hetero.network.variational import HeteroModalOutput, SegmentedAlone
from nnunet_hetero.training.data.blocks import visible_blocks
from nnunet_hetero.training.data.unlabelled import LossOfLabelled
from nnunet_hetero.training.hetero_trainer import HeteroTrainer
from nnunet_hetero.training.optimization.losses import foreground, masked_l2

HIDDEN = 0.5, 0.75
"""Least and most of an image's blocks that are hidden while images are completed first."""


class HeteroModalVAETrainer(HeteroTrainer):
    """Trains `HeteroModalVAE`: segmentation from any subset of the modalities, completion of the others.

    The loss is nnU-Net's own segmentation loss + 0.1 · masked L2 + 0.03 · KL (Dorent et al., MICCAI 2019; there 0.1 ·
    KL, averaged over levels, see `kl_to_standard_normal`).
    """

    network_class: type[HeteroNetwork] = HeteroModalVAE
    learns_from_unlabelled = True
    scores_foreground = True
    """Whether images are scored where the case has any signal, or everywhere."""
    shows_singles = True
    """Whether `losses` segments samples from one modality alone as well, where the settings ask for it."""

    intensity: Moments | None = None  # of the training images, what completed images are scaled to

    @classmethod
    def default_settings(cls) -> dict[str, Any]:
        """Muon, under which it learns faster than under nnU-Net's SGD or AdamW; single modalities, if it shows them."""
        able = issubclass(cls.network_class, HeteroModalVAE) and cls.deeply_supervised and cls.shows_singles
        return {"optimizer": "Muon", "initial_lr": 5e-3, **({"single_modality_weight": 0.5} if able else {})}

    def initialize(self) -> None:
        """See `HeteroTrainer`.

        Raises:
            SettingsError: If single modalities are to be segmented, and the network or the trainer cannot do it.
        """
        super().initialize()
        decoder = self.unwrapped_network.decoder
        coarse = isinstance(decoder, LatentDecoder) and self.enable_deep_supervision
        if self.hetero.single_modality_weight and not (coarse and self.shows_singles):
            raise SettingsError(
                f"{KEY}.single_modality_weight is {self.hetero.single_modality_weight}, which {type(self).__name__} "
                "cannot follow: it needs HeteroModalVAE or a network with its decoder, deep supervision, and one "
                "subset for each sample. Set it to 0."
            )

    def on_train_start(self) -> None:
        """Measure the intensities of the training images, then start."""
        super().on_train_start()
        # The others must not wait for it in their first step, see `Ranks.first_before_others`.
        self.ranks.first_before_others(self._measure_intensity)

    def _measure_intensity(self) -> None:
        if self.ranks.is_first:
            self.intensity = training_moments(self) or self.intensity
            replace_json(os.path.join(self.output_folder, "intensity.json"), self.intensity)

    def losses(
        self, data: Tensor, target: Tensor | list[Tensor], present: Tensor, drawn: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of the paper.

        Returns:
            What is optimised; ``loss`` (of the segmentation), ``reconstruction`` and ``kl`` before weighting, and
            ``total``, the paper's weighted sum; ``single``, of the segmentation from one modality, if that is learned.
        """
        single = {"single": self._draw_singles(drawn)} if self.segmenting_singles else {}
        with self.autocast():
            output = self.network(self.seen_in_training(data, drawn), drawn, full=True, **single)
        return self.loss_of(output, data, target, present)

    @property
    def completing(self) -> bool:
        """Whether this epoch completes images and segments nothing, see the setting ``completion_first``."""
        return self.current_epoch < math.floor(self.hetero.completion_first * self.num_epochs)

    @property
    def segmenting_singles(self) -> bool:
        """Whether samples are segmented from one modality alone as well in this epoch."""
        return bool(self.hetero.single_modality_weight) and not self.completing

    def seen_in_training(self, data: Tensor, drawn: Tensor) -> Tensor:
        """The images as they enter the network: in an epoch that completes, with blocks hidden.

        Args:
            data: Images, ``(B, M, *spatial)``.
            drawn: What each sample is seen through, ``(B, M)`` bool, or ``(N, B, M)``.
        """
        if not self.completing:
            return data
        drawn = (drawn if drawn.ndim == 2 else drawn.any(dim=0)).to(data.device)
        hidden = torch.empty(drawn.shape, device=data.device).uniform_(*HIDDEN)
        return data * visible_blocks(data, drawn, hidden)

    def loss_of(
        self, output: HeteroModalOutput, data: Tensor, target: Tensor | list[Tensor], present: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of what the network makes of a batch; see `losses`."""
        with self.autocast():
            segmentation = self.loss(output.segmentation, target)
        if self.completing:
            segmentation = 0.0 * segmentation
        total = segmentation + self.hetero.kl_weight * output.kl
        terms = {"loss": segmentation}
        optimised = total
        if self.segmenting_singles:
            terms["single"] = torch.zeros(())
        if output.single is not None:
            weight = self.hetero.single_modality_weight
            terms["single"] = self._loss_of_single(output.single, target)
            # The two together weigh what the segmentation weighs by itself, next to divergence and images.
            optimised = total + weight / (1 + weight) * (terms["single"] - segmentation)
        reconstruction = torch.zeros(())
        if output.completion is not None:
            where = foreground(data, present) if self.scores_foreground else None
            reconstruction = masked_l2(output.completion, data, present, where)
            total = total + self.hetero.reconstruction_weight * reconstruction
            # Each image's own loss in full; the network passes the weighted part of it on to the latents.
            optimised = optimised + len(self.modalities) * reconstruction
        return optimised, {**terms, "total": total, "reconstruction": reconstruction, "kl": output.kl}

    def _draw_singles(self, drawn: Tensor) -> Tensor:
        rows = self.loss.candidates(len(drawn)) if isinstance(self.loss, LossOfLabelled) else range(len(drawn))
        return torch.from_numpy(self.sampler.draw_singles(drawn.numpy(), rows, self.hetero.single_modality_share))

    def _loss_of_single(self, alone: SegmentedAlone, target: Tensor | list[Tensor]) -> Tensor:
        loss = self.loss.loss if isinstance(self.loss, LossOfLabelled) else self.loss
        levels = alone.segmentation
        with self.autocast():
            return loss(levels, [alone.samples.pick(level) for level in target[-len(levels) :]])

    def state_to_save(self) -> dict:
        """History, and the intensities of the training images."""
        return {**super().state_to_save(), "intensity": self.intensity}

    def keep_settings(self, began_with: Mapping[str, Any]) -> None:
        """The weight of single modalities: a training that began when there was none by default goes on without."""
        weight = began_with.get("single_modality_weight", 0.0)
        if weight == self.hetero.single_modality_weight:
            return
        self.print_to_log_file(f"single_modality_weight stays {weight}, with which this training began.")
        self.hetero = dataclasses.replace(self.hetero, single_modality_weight=weight)
        # For the file beside the weights; checkpoints keep the plans that the training began with.
        self.plans_manager.plans["configurations"][self.configuration_name][KEY]["single_modality_weight"] = weight

    def load_saved_state(self, state: dict) -> None:
        """Take up what `state_to_save` gave."""
        super().load_saved_state(state)
        self.intensity = state.get("intensity")
