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

import numpy as np
import torch
from torch import Tensor

from nnunet_hetero.inference.engine.case_result import Statement
from nnunet_hetero.inference.engine.region_signs import expected_dice, surface_share
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


def region_entropies(regions: RegionDecoder, probabilities: Tensor) -> Tensor:
    """Entropy of each region against the rest, ``(R, *spatial)`` float32, in nats.

    Args:
        regions: How regions follow from the network's outputs.
        probabilities: ``(K, *spatial)``.
    """
    channels = regions.channels
    found = torch.empty((len(channels), *probabilities.shape[1:]), device=probabilities.device)
    for entropy, channel in zip(found, channels, strict=True):
        entropy.copy_(binary_entropy(probabilities[channel].float()))
    return found


class DrawStatistics:
    """Means over draws, so that no draw has to be kept.

    What is made of a map is made region by region: of many labels nothing has room beside the means.

    Args:
        regions: How regions follow from the network's outputs.
        decide: Whether to make a decision per draw, for volumes and disagreement.
        entropies: Whether to average the entropies of the draws, for the mutual information.
    """

    def __init__(self, regions: RegionDecoder, decide: bool, entropies: bool):
        self.regions = regions
        self.decide = decide
        self.entropies = entropies
        self.number = 0
        self._probability: Tensor | None = None
        self._entropy: Tensor | None = None
        self._hits: Tensor | None = None  # in how many draws a voxel was in each region
        self._voxels: list[Tensor] = []

    def add(self, probabilities: Tensor) -> None:
        """Take in one draw, ``(K, *spatial)``; the tensor may be overwritten afterwards."""
        self.number += 1
        share = 1 / self.number
        self._probability = _mean(self._probability, probabilities, share)
        if self.entropies:
            if self._entropy is None:
                self._entropy = self._maps_of_regions(probabilities, probabilities.dtype)
            for mean, channel in zip(self._entropy, self.regions.channels, strict=True):
                mean.lerp_(binary_entropy(probabilities[channel].float()).to(mean.dtype), share)
        if self.decide:
            if self._hits is None:
                self._hits = self._maps_of_regions(probabilities, torch.uint8)
            self._hits = _with_room(self._hits, self.number)
            sizes = []
            for hits, mask in zip(self._hits, self.regions.masks(probabilities), strict=True):
                hits += mask
                sizes.append(mask.sum())
            self._voxels.append(torch.stack(sizes).cpu())

    def _maps_of_regions(self, like: Tensor, dtype: torch.dtype) -> Tensor:
        return torch.zeros((len(self.regions.channels), *like.shape[1:]), dtype=dtype, device=like.device)

    def merge(self, other: DrawStatistics) -> None:
        """Take in the draws of another fold."""
        self.number += other.number
        share = other.number / self.number
        self._probability = _mean(self._probability, other._probability, share)
        self._entropy = _mean(self._entropy, other._entropy, share)
        if self._hits is not None and other._hits is not None:
            self._hits = _with_room(self._hits, self.number).add_(other._hits)
        self._voxels += other._voxels

    def cpu(self) -> DrawStatistics:
        """Move all means to the CPU."""
        for name in ("_probability", "_entropy", "_hits"):
            value = getattr(self, name)
            setattr(self, name, None if value is None else value.cpu())
        return self

    def mean_probability(self) -> Tensor:
        """Mean over the draws, ``(K, *spatial)``; the one that is kept."""
        return _there(self._probability)

    def mutual_information(self, entropy: Tensor) -> Tensor:
        """What the draws disagree about, ``(R, *spatial)``, in nats.

        Args:
            entropy: Predictive entropy, that of the mean probability.
        """
        found = torch.empty_like(entropy)
        for information, whole, mean in zip(found, entropy, _there(self._entropy), strict=True):
            # Entropy is concave, so what falls outside of these bounds is rounding.
            torch.minimum((whole - mean).clamp_(min=0), whole, out=information)
        return found

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
        rows = []
        for channel, hits, decided in zip(
            self.regions.channels, _there(self._hits), self.regions.masks(mean), strict=True
        ):
            size = int(decided.sum())
            total = int(hits.sum()) + self.number * size
            disagreement = 1 - 2 * int(hits[decided].sum()) / total if total else 0.0
            expected = expected_dice(mean[channel], decided)
            rows.append((size * voxel_size, disagreement, *expected, surface_share(decided)))
        return Statement(*np.array(rows, dtype=np.float32).T)


def _mean(mean: Tensor | None, term: Tensor | None, share: float) -> Tensor | None:
    """The mean with another term in it that has this share, in place."""
    if mean is None or term is None:
        return mean if term is None else term.clone()
    return mean.lerp_(term, share)


def _with_room(counts: Tensor, number: int) -> Tensor:
    """Counts in a type that holds the number; a byte for each voxel as long as that is enough."""
    return counts.to(torch.int16) if counts.dtype == torch.uint8 and number > 255 else counts


def _there(total: Tensor | None) -> Tensor:
    if total is None:
        raise ValueError("Nothing was added that was to be summed.")
    return total
