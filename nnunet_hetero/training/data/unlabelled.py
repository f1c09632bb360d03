"""Training cases without a segmentation: they teach how images look, and have no label that says what to segment.

Their label map is nnU-Net's ignore label within the images. nnU-Net by itself would take patches of them where its
preprocessing has marked the outside of the images, and count that outside as background.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import numpy as np
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetBaseDataset
from torch import Tensor, nn
from tqdm import tqdm

from nnunet_hetero.cases.label_maps.unlabelled import OUTSIDE, says_nothing
from nnunet_hetero.cases.tissue import LEAST_BACKGROUND
from nnunet_hetero.errors import DataError
from nnunet_hetero.nnunet.protocols import LogOfFold

PLACES = 10_000
"""Voxels of a case that patches are taken around, as many as nnU-Net keeps of a label."""

EQUAL = 1e-3
"""Of normalised images: what differs less is the same value, resampled."""

Locations = dict[Any, Any]
"""nnU-Net's ``class_locations``: by label, or by a tuple of labels, voxels ``(n, 1 + axes)``."""


class LossOfLabelled(nn.Module):
    """A loss of those samples of a batch that have a segmentation, and of what others are taught.

    Args:
        loss: Of outputs and targets, or of lists of them, a level each.

    Attributes:
        of_all_ranks: Whether the ranks of a distributed training make one Dice of their batches. Each then gives as
            many samples as the others, of which the ignore label leaves nothing where there is no segmentation.
    """

    def __init__(self, loss: nn.Module):
        super().__init__()
        self.loss = loss
        self.of_all_ranks = any(
            getattr(part, "ddp", False) and getattr(part, "batch_dice", False) for part in loss.modules()
        )
        self.count(None)

    def count(self, rows: list[int] | None, of_others: Callable[[Any], Tensor] | None = None) -> None:
        """Settle what counts from now on.

        Args:
            rows: The samples with a segmentation; None for all.
            of_others: A loss that is added, of the output for the whole batch.
        """
        self.rows, self.of_others = rows, of_others

    def candidates(self, number: int) -> Sequence[int]:
        """Those of so many samples that a loss of some samples may be of."""
        return range(number) if self.rows is None or self.of_all_ranks else self.rows

    def forward(self, output: Any, target: Any) -> Tensor:
        """The loss; with a gradient of 0 for every output if nothing counts, and 0 itself unless it is of all ranks."""
        found = self._of_labelled(output, target)
        return found if self.of_others is None else found + self.of_others(output)

    def _of_labelled(self, output: Any, target: Any) -> Tensor:
        if self.rows is None or self.of_all_ranks:
            return self.loss(output, target)
        levels = output if isinstance(output, list) else [output]
        if not self.rows:
            # In half precision a sum of all logits could be infinite, and 0 times that is no number.
            return sum(0.0 * level.float().sum() for level in levels)
        if len(self.rows) == len(levels[0]):
            return self.loss(output, target)
        if isinstance(output, list):
            return self.loss([level[self.rows] for level in output], [level[self.rows] for level in target])
        return self.loss(output[self.rows], target[self.rows])


def find_unlabelled(
    dataset: nnUNetBaseDataset, label_manager: Any, within_images: bool, progress: bool = False
) -> dict[str, Locations]:
    """The cases of a preprocessed dataset without a segmentation, with the places that patches are to be taken around.

    Args:
        dataset: nnU-Net's.
        label_manager: nnU-Net's.
        within_images: Whether an image is normalised by what is within the images (the plans' ``use_mask_for_norm``).
        progress: Whether to show a progress bar.

    Returns:
        By case what takes the place of its ``class_locations``; empty if the data set has no ignore label.

    Raises:
        DataError: If a case was normalised with what is outside of its images, see `normalised_with_outside`.
    """
    if not label_manager.has_ignore_label:
        return {}
    ignore, annotated = label_manager.ignore_label, (-1, *label_manager.all_labels)
    found, wrong = {}, []
    for case in tqdm(dataset.identifiers, "Cases without a segmentation", disable=not progress):
        data, segmentation, _, properties = dataset.load_case(case)
        locations = properties["class_locations"]
        is_labelled = any(len(places) for label, places in locations.items() if label != annotated)
        if is_labelled and not within_images:
            continue
        values = np.asarray(segmentation[0])
        if within_images and normalised_with_outside(data, values, ignore):
            wrong.append(case)
        if not is_labelled and says_nothing(values, ignore):
            places = np.argwhere(values[None] == ignore)
            # Evenly through the case: argwhere goes along the axes.
            found[case] = {**{label: [] for label in locations}, annotated: places[:: -(-len(places) // PLACES)]}
    if wrong:
        some = ", ".join(f"'{case}'" for case in wrong[:5])
        raise DataError(
            f"{len(wrong)} case(s) have the ignore label outside of their images too ({some}), where all images are "
            "zero. nnU-Net's preprocessing then normalises images together with the zeros around them, which it does "
            "to no case that is predicted. Their label maps must be 0 there: convert the data set again, or set them "
            "to 0 where all images of a case are zero. Then preprocess again: nnUNetv2_preprocess."
        )
    return found


def normalised_with_outside(data: Any, segmentation: np.ndarray, ignore: int) -> bool:
    """Whether a preprocessed case took the zeros around its images for a part of them, since they are to be ignored.

    Its label map then has no outside, and its images one value in the corners and in much of the rest.

    Args:
        data: Images, ``(C, *spatial)``.
        segmentation: Label map, ``(*spatial)``.
        ignore: The ignore label.
    """
    if not (segmentation == ignore).any() or (segmentation == OUTSIDE).any():
        return False
    images = np.asarray(data[:])
    corner = images.reshape(len(images), -1)[:, 0].reshape(-1, *[1] * segmentation.ndim)
    same = (np.abs(images - corner) < EQUAL).all(axis=0)
    return bool(same.mean() >= LEAST_BACKGROUND)


def arrange_unlabelled(
    trainer: LogOfFold,
    label_manager: Any,
    training: nnUNetBaseDataset,
    validation: nnUNetBaseDataset,
    within_images: bool,
    learns: bool,
    progress: bool = False,
) -> dict[str, Locations]:
    """Find the cases without a segmentation; leave them out, unless the trainer learns from them.

    Args:
        trainer: Whose log and fold.
        label_manager: nnU-Net's.
        training: The cases to train on; its ``identifiers`` are changed.
        validation: The others; of fold ``all``, the same, and its ``identifiers`` are changed too.
        within_images: See `find_unlabelled`.
        learns: Whether the trainer learns from them.
        progress: Whether to show a progress bar.

    Returns:
        Those that are trained on, as of `find_unlabelled`.

    Raises:
        DataError: If one is a validation case, no training case has a segmentation, or one was normalised with what is
            outside of its images.
    """
    found = find_unlabelled(training, label_manager, within_images, progress)
    held_out = find_unlabelled(validation, label_manager, within_images)
    if held_out and trainer.fold != "all":
        some = ", ".join(f"'{case}'" for case in sorted(held_out)[:5])
        raise DataError(
            f"Fold {trainer.fold}: {len(held_out)} validation case(s) have no segmentation ({some}), so there is "
            "nothing to validate on. Make splits that keep them in the training: nnunet_hetero splits -d ID --overwrite"
        )
    validation.identifiers = [case for case in validation.identifiers if case not in held_out]
    if not found:
        return {}
    labelled = [case for case in training.identifiers if case not in found]
    if not labelled:
        raise DataError(f"Fold {trainer.fold}: no training case has a segmentation. Add some that have one.")
    number = f"{len(found)} of {len(training.identifiers)} training cases have no segmentation"
    if learns:
        trainer.print_to_log_file(f"{number}.")
        return found
    trainer.print_to_log_file(f"{number}: left out, to learn from segmentations alone.")
    training.identifiers = labelled
    return {}


def with_share(
    cases: Sequence[str], unlabelled: Collection[str], probabilities: Sequence[float] | None, share: float | None
) -> Sequence[float] | None:
    """Probability of each case, so that a sample is one without a segmentation as often as asked for.

    Args:
        cases: In the order of the result.
        unlabelled: Those without a segmentation.
        probabilities: What they are without that; None for all alike.
        share: How often, above 0 and below 1; None leaves the probabilities as they are.

    Examples:
        >>> with_share(["a", "b", "c"], {"c"}, None, 0.5)
        [0.25, 0.25, 0.5]
    """
    if share is None or not unlabelled:
        return probabilities
    before = np.ones(len(cases)) if probabilities is None else np.asarray(probabilities, float)
    without = np.array([case in unlabelled for case in cases])
    result = np.where(without, share * before / before[without].sum(), (1 - share) * before / before[~without].sum())
    return result.tolist()


def labelled_rows(cases: Sequence[str], unlabelled: Mapping[str, Locations]) -> list[int] | None:
    """Which samples of a batch have a segmentation; None for all."""
    return [row for row, case in enumerate(cases) if case not in unlabelled] if unlabelled else None
