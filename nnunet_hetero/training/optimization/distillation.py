"""Self-distillation on cases without a segmentation: from a subset of the modalities, as from all of them.

The network segments such a sample from all modalities that its case has, as in prediction; what it makes of the drawn
subset is pulled towards that (the principle of mean teacher, Tarvainen and Valpola, NeurIPS 2017, with the missing
modalities for a perturbation, and without an average of weights).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from nnunet_hetero.config import HeteroModalConfig
from nnunet_hetero.training.data.unlabelled import labelled_rows

WEIGHT = 0.5
"""Of this loss, next to that of the samples with a segmentation."""


@dataclass(frozen=True)
class Lesson:
    """What some samples of a batch are to be segmented as.

    Args:
        rows: The samples, R of them.
        probabilities: Of all modalities, ``(R, K, *spatial)``.
        where: The voxels that count, ``(R, 1, *spatial)`` bool.
        has_regions: Whether the K channels are regions, each by itself, or labels, which exclude each other.
    """

    rows: Sequence[int]
    probabilities: Tensor
    where: Tensor
    has_regions: bool

    def __call__(self, output: Tensor | list[Tensor]) -> Tensor:
        """Cross-entropy with these probabilities, and their Dice as in V-Net, which is 1 for equal ones, as a loss.

        Args:
            output: Logits of the batch, ``(B, K, *spatial)``, or a list of them, finest first, of which that counts.
        """
        logits = (output[0] if isinstance(output, list) else output)[self.rows].float()
        if self.has_regions:
            entropy = binary_cross_entropy_with_logits(logits, self.probabilities, reduction="none").mean(
                1, keepdim=True
            )
            own, taught = logits.sigmoid(), self.probabilities
        else:
            entropy = -(self.probabilities * logits.log_softmax(1)).sum(1, True)
            own, taught = logits.softmax(1)[:, 1:], self.probabilities[:, 1:]
        own, taught = own * self.where, taught * self.where
        axes = tuple(range(2, own.ndim))
        squares = (own**2).sum(axes) + (taught**2).sum(axes)
        dice = (2 * (own * taught).sum(axes) + 1) / (squares + 1)
        return WEIGHT * ((entropy * self.where).sum() / (self.where.sum() + 1) + 1 - dice.mean())


def first_epoch(settings: HeteroModalConfig) -> int | None:
    """The first epoch with lessons; None for no epoch."""
    if settings.distil_unlabelled_after is None:
        return None
    return round(max(settings.distil_unlabelled_after, settings.completion_first) * settings.num_epochs)


def describe(settings: HeteroModalConfig) -> str:
    """What becomes of samples without a segmentation, for the log."""
    first = first_epoch(settings)
    if first is None:
        return "They count for images alone."
    return f"They count for images, and from epoch {first} on for the segmentation too, by self-distillation."


def count_samples(
    trainer: Any, cases: Sequence[str], data: Tensor, target: Tensor | list[Tensor], present: Tensor
) -> None:
    """Say to the loss what it counts: the samples with a segmentation, and, once it is time, lessons for the others.

    Args:
        trainer: A `HeteroTrainer` whose loss is a `LossOfLabelled`.
        cases: Of each sample.
        data: Images, ``(B, M, *spatial)``.
        target: nnU-Net's: of regions ``(B, K + 1, *spatial)``, the last what is ignored; of labels ``(B, 1,
            *spatial)``; or a list of levels, finest first.
        present: What each sample has, ``(B, M)`` bool.
    """
    labelled = labelled_rows(cases, trainer.unlabelled)
    rows = [] if labelled is None else [row for row in range(len(cases)) if row not in labelled]
    first = first_epoch(trainer.hetero)
    lesson = None
    if rows and first is not None and trainer.current_epoch >= first:
        finest = (target[0] if isinstance(target, list) else target)[rows]
        regions = trainer.label_manager.has_regions
        where = finest[:, -1:].bool() if regions else finest == trainer.label_manager.ignore_label
        with trainer.autocast():
            logits = _segmented(trainer.unwrapped_network, data[rows], present[rows])
        lesson = Lesson(rows, logits.sigmoid() if regions else logits.softmax(1), where, regions)
    trainer.loss.count(labelled, lesson)


@torch.no_grad()
def _segmented(network: Any, data: Tensor, present: Tensor) -> Tensor:
    """Logits at the finest level, of the latents' mean."""
    was_training = network.training
    network.eval()
    logits = network(data, present)
    network.train(was_training)
    return (logits[0] if isinstance(logits, list) else logits).float()
