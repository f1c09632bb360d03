"""Draws of the latents: how many per mirrored view, from which random numbers, and what they say together.

The segmentation is p(y | x) = E[p(y | z)] with z ~ q(z | x), estimated by the mean probability of S draws (Dorent et
al., MICCAI 2019, section 3). What the draws disagree about is their mutual information,

    I = H(mean of p) - mean of H(p),

the part of the predictive entropy H(mean of p) that comes from the latents and not from the decoder's own doubt
(Gal, "Uncertainty in Deep Learning", 2016, section 3.3). Entropies are those of each region against the rest, in nats.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, combinations, product

import torch
from torch import Tensor

from nnunet_hetero.inference.engine.case_result import Statement
from nnunet_hetero.nnunet.regions import RegionDecoder

View = tuple[int, ...]
"""Spatial axes along which the tile is mirrored, e.g. ``(0, 2)``; ``()`` is the tile as it is."""


def mirrored_views(axes: Sequence[int] | None) -> list[View]:
    """All combinations of mirrored axes, beginning with none, as nnU-Net's test-time augmentation has them."""
    axes = tuple(axes or ())
    return list(chain.from_iterable(combinations(axes, number) for number in range(len(axes) + 1)))


@dataclass(frozen=True)
class LatentDraw:
    """One draw of the latents, over all tiles of a case.

    Args:
        view: Number of the mirrored view that it decodes.
        number: Its number within the view; None is the posterior's mean.
    """

    view: int
    number: int | None


def draws_of(num_samples: int, num_views: int) -> list[LatentDraw]:
    """At least ``num_samples`` draws, equally many for each view; for 0 samples the mean, once per view."""
    numbers = range(-(-num_samples // num_views)) if num_samples else [None]
    return [LatentDraw(view, number) for view, number in product(range(num_views), numbers)]


def generator_of(device: torch.device, *key: int | str) -> torch.Generator:
    """A random stream that depends on the key only, e.g. seed, case, fold, view, tile and draw.

    Cases can then be predicted in any order, in several processes, or in a continued run, with the same result.
    """
    digest = hashlib.sha256(repr(key).encode()).digest()
    generator = torch.Generator(device)
    return generator.manual_seed(int.from_bytes(digest[:8], "big") >> 1)


def binary_entropy(probability: Tensor) -> Tensor:
    """Entropy of yes or no, in nats, 0 to ln 2; same shape."""
    return -(torch.xlogy(probability, probability) + torch.xlogy(1 - probability, 1 - probability))


class DrawStatistics:
    """Sums over draws, so that no draw has to be kept.

    Args:
        regions: How regions follow from the network's outputs.
        decide: Whether to make a decision per draw, for volumes and disagreement.
        entropies: Whether to sum the entropies of the draws, for the mutual information.
    """

    def __init__(self, regions: RegionDecoder, decide: bool, entropies: bool):
        self.regions = regions
        self.decide = decide
        self.entropies = entropies
        self.number = 0
        self._probability: Tensor | None = None
        self._entropy: Tensor | None = None
        self._hits: Tensor | None = None
        self._voxels: list[Tensor] = []

    def add(self, probabilities: Tensor) -> None:
        """Take in one draw, ``(K, *spatial)``; the tensor may be overwritten afterwards."""
        self.number += 1
        self._probability = _plus(self._probability, probabilities)
        if self.entropies:
            self._entropy = _plus(self._entropy, binary_entropy(self.regions.probabilities(probabilities)))
        if self.decide:
            masks = self.regions.masks(probabilities)
            self._hits = _plus(self._hits, masks.to(torch.int16))
            self._voxels.append(masks.flatten(1).sum(dim=1).cpu())

    def merge(self, other: DrawStatistics) -> None:
        """Take in the draws of another fold."""
        self.number += other.number
        self._probability = _plus(self._probability, other._probability)
        self._entropy = _plus(self._entropy, other._entropy)
        self._hits = _plus(self._hits, other._hits)
        self._voxels += other._voxels

    def cpu(self) -> DrawStatistics:
        """Move all sums to the CPU."""
        for name in ("_probability", "_entropy", "_hits"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else value.cpu())
        return self

    def mean_probability(self) -> Tensor:
        """Mean over the draws, ``(K, *spatial)``."""
        return _there(self._probability) / self.number

    def mutual_information(self, entropy: Tensor) -> Tensor:
        """What the draws disagree about, ``(R, *spatial)``, in nats.

        Args:
            entropy: Predictive entropy, that of the mean probability.
        """
        # Entropy is concave, so what falls outside of these bounds is rounding.
        return torch.minimum((entropy - _there(self._entropy) / self.number).clamp(min=0), entropy)

    def voxels(self) -> Tensor:
        """Voxels per draw and region, ``(draws, R)``."""
        return torch.stack(self._voxels)

    def statement(self, voxel_size: float) -> Statement:
        """What the draws say of each region.

        The disagreement is 1 - Dice between the draws and the decision of their mean; 0 where a region is in none of
        them. The Dice is pooled: overlaps and sizes are summed over the draws before the division.

        Args:
            voxel_size: Of a voxel, in the unit of the sizes.
        """
        mean = self.mean_probability()
        decided = self.regions.masks(mean).flatten(1)
        hits = _there(self._hits).flatten(1)
        size = decided.sum(dim=1)
        overlap = 2.0 * (hits * decided).sum(dim=1)
        total = hits.sum(dim=1) + self.number * size
        disagreement = torch.where(total > 0, 1 - overlap / total.clamp(min=1), 0.0)
        inside = zip(self.regions.probabilities(mean).flatten(1), decided, strict=True)
        entropy = torch.stack([binary_entropy(region[mask]).sum() for region, mask in inside]) / size.clamp(min=1)
        return Statement(
            (size * voxel_size).numpy(force=True), disagreement.numpy(force=True), entropy.numpy(force=True)
        )


def _plus(total: Tensor | None, term: Tensor | None) -> Tensor | None:
    if total is None or term is None:
        return total if term is None else term.clone()
    return total.add_(term)


def _there(total: Tensor | None) -> Tensor:
    if total is None:
        raise ValueError("Nothing was added that was to be summed.")
    return total
