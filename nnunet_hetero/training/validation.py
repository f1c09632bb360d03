"""nnU-Net's validation of every epoch, through subsets of the modalities: which ones, and what is made of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from nnunet_hetero.modalities import Subset, mask_of
from nnunet_hetero.nnunet.ranks import Ranks

SEED = 18
"""Of the order of the subsets. It is the same for all trainings, so that their epochs can be compared."""

Counts = tuple[int, np.ndarray, np.ndarray, np.ndarray]
"""Number of modalities of a step, and its hits, false positives and misses by class."""


def subsets_of_epoch(subsets: Sequence[Subset], epoch: int, steps: int) -> list[Subset]:
    """What each validation step of an epoch is seen through.

    Every epoch has the same number of steps with one modality, with two, and so on, in proportion to the subsets of
    that size, so that its pseudo Dice, by which nnU-Net chooses the best checkpoint, can be compared with that of
    another epoch. Within a size the subsets take turns over the epochs, in an order that is shuffled anew each turn.

    Args:
        subsets: All that are to be seen.
        epoch: Its number. Nothing else is remembered, so that a continued training goes on as an uninterrupted one.
        steps: Those of the epoch, of all ranks together.

    Returns:
        As many subsets, by size; ranks take every n-th.
    """
    by_size: dict[int, list[Subset]] = defaultdict(list)
    for subset in subsets:
        by_size[len(subset)].append(subset)
    chosen = []
    for size, share in steps_by_size({size: len(group) for size, group in sorted(by_size.items())}, steps).items():
        group = by_size[size]
        for turn, place in (divmod(number, len(group)) for number in range(epoch * share, (epoch + 1) * share)):
            order = np.random.default_rng((SEED, size, turn)).permutation(len(group))
            chosen.append(group[order[place]])
    return chosen


class ValidationCycle:
    """One rank's way through the validation steps of every epoch.

    Args:
        subsets: All that are to be seen.
        num_modalities: M.
        ranks: All processes of the training; each takes every n-th subset of an epoch.
    """

    def __init__(self, subsets: Sequence[Subset], num_modalities: int, ranks: Ranks):
        self.subsets = subsets
        self.num_modalities = num_modalities
        self.ranks = ranks
        self._of_epoch: list[Subset] = []
        self._steps = 0

    def begin(self, epoch: int, steps: int, done: int = 0) -> None:
        """Begin an epoch, or go on with it.

        Args:
            epoch: Its number.
            steps: Those of this rank.
            done: How many of them are done already.
        """
        chosen = subsets_of_epoch(self.subsets, epoch, self.ranks.count * steps)
        self._of_epoch = chosen[self.ranks.number :: self.ranks.count]
        self._steps = done

    def next_subset(self) -> Subset:
        """What the next step is seen through."""
        self._steps += 1
        return self._of_epoch[self._steps - 1]

    def pseudo_dice(self, outputs: Sequence[Mapping[str, np.ndarray]]) -> dict[int, float]:
        """nnU-Net's pseudo Dice over all ranks, by the number of modalities; NaN where there was no step.

        Args:
            outputs: What nnU-Net's steps of the epoch gave on this rank.
        """
        counts: list[Counts] = [
            (len(subset), output["tp_hard"], output["fp_hard"], output["fn_hard"])
            for subset, output in zip(self._of_epoch, outputs, strict=True)
        ]
        return pseudo_dice_by_size(self.ranks.gather(counts), self.num_modalities)


def steps_by_size(counts: Mapping[int, int], steps: int) -> dict[int, int]:
    """How many of an epoch's steps have each size.

    In proportion to the number of subsets, by largest remainders, and at least one for each size if there are enough
    steps.

    Args:
        counts: How many subsets have each size.
        steps: To be distributed.
    """
    exact = {size: steps * count / sum(counts.values()) for size, count in counts.items()}
    found = {size: int(share) for size, share in exact.items()}
    # Of equal remainders the larger set of modalities goes first: it has the fewest subsets.
    by_remainder = sorted(exact, key=lambda size: (exact[size] % 1, size), reverse=True)
    for size in by_remainder[: steps - sum(found.values())]:
        found[size] += 1
    for size in [size for size, share in found.items() if not share and steps >= len(counts)]:
        found[max(found, key=found.__getitem__)] -= 1
        found[size] = 1
    return found


def seen_through(data: Tensor, subset: Subset) -> Tensor:
    """Images with all channels zero but those of a subset; a sample that has none of them is shown with what it has.

    Args:
        data: ``(B, M, *spatial)``, absent channels zero.
        subset: Channels.
    """
    present = (data != 0).flatten(2).any(dim=2)
    available = present & torch.from_numpy(mask_of(subset, data.shape[1])).to(data.device, non_blocking=True)
    available = torch.where(available.any(dim=1, keepdim=True), available, present)
    return data * available.view(*available.shape, *[1] * (data.ndim - 2)).to(data.dtype)


def pseudo_dice_by_size(counts: Iterable[Counts], num_modalities: int) -> dict[int, float]:
    """nnU-Net's pseudo Dice, the mean over classes, by the number of modalities; NaN where there was no step.

    Args:
        counts: Of the epoch's steps.
        num_modalities: M.
    """
    by_size: dict[int, list[Counts]] = {size: [] for size in range(1, num_modalities + 1)}
    for row in counts:
        by_size[row[0]].append(row)
    return {size: _mean_dice(rows) for size, rows in by_size.items()}


def _mean_dice(rows: Sequence[Counts]) -> float:
    tp, fp, fn = np.sum([row[1:] for row in rows], axis=0) if rows else np.zeros((3, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        dice = 2 * tp / (2 * tp + fp + fn)
    return float(np.nanmean(dice)) if np.isfinite(dice).any() else float("nan")
