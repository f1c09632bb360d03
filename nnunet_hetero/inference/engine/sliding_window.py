"""One case through the network of one fold: tiles, mirrored views, subsets of the modalities, draws of the latents.

A tile is encoded once per mirrored view; for each subset it is fused, and for each draw only the decoders run. Tiles
overlap and are blended with nnU-Net's Gaussian weights: what comes out are whole maps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, product
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor
from tqdm import tqdm

from nnunet_hetero.inference.engine.latent_draws import LatentDraw, View
from nnunet_hetero.inference.engine.network_steps import fused_for_each, latents
from nnunet_hetero.network.hetero_network import HeteroNetwork

AT_ONCE_ON_CPU = 2
"""Samples per pass of the network. torch's CPU path for one sample of a small 3D convolution is slower than that for
two; more than two bring nothing there, and memory stays below that of a training step."""

ACCUMULATOR_BYTES = 2 * 2**30
"""Largest size of the maps that are filled at the same time. If the draws or subsets of a case need more, the tiles are
gone through again for the next ones."""

Item = TypeVar("Item")

Slicer = tuple[int | slice, ...]
Noise = Callable[[int, int, int], torch.Generator]
"""Random stream of a view, a tile and a draw, by their numbers."""


@dataclass
class Maps:
    """What is decoded from one subset of the modalities, added up over tiles and draws.

    Args:
        subset: The modalities to decode from, ``(M,)`` bool.
        draws: Which draws.
        segmentation: Sum of probabilities times the tiles' weights, ``(K, *spatial)``; no channel segments nothing.
        completed: Modalities to complete.
        completion: Sum of their images times the tiles' weights, ``(len(completed), *spatial)``.
    """

    subset: Tensor
    draws: Sequence[LatentDraw]
    segmentation: Tensor
    completed: tuple[int, ...]
    completion: Tensor

    @property
    def views(self) -> set[int]:
        """The mirrored views that its draws decode."""
        return {draw.view for draw in self.draws}


class _Item(NamedTuple):
    """One sample for the decoders."""

    maps: Maps
    view: int
    tile: int
    latents: list[Tensor]


@dataclass
class SlidingWindow:
    """How a case is cut into tiles, and where its parts are computed.

    Args:
        network: In evaluation mode, on ``device``.
        nonlinearity: From logits of one sample ``(K, *spatial)`` to probabilities.
        slicers: nnU-Net's tiles; each indexes ``(channels, *spatial)``.
        weights: Weight of each voxel of a tile, ``(*tile)`` float32 on ``results_device``.
        views: The mirrored views.
        device: Where the network computes.
        results_device: Where the maps are.
        noise: Random stream of a draw in a tile.
        at_once: Samples per pass of the network.
        progress: Whether to show a progress bar.
    """

    network: HeteroNetwork
    nonlinearity: Callable[[Tensor], Tensor]
    slicers: Sequence[Slicer]
    weights: Tensor
    views: Sequence[View]
    device: torch.device
    results_device: torch.device
    noise: Noise
    at_once: int = AT_ONCE_ON_CPU
    progress: bool = False

    def run(
        self, data: Tensor, available: Tensor, draws: Sequence[LatentDraw], num_outputs: int, completed: Sequence[int]
    ) -> CaseRun:
        """Start on a case, from one subset of its modalities.

        Args:
            data: Preprocessed images, ``(M, *spatial)``, at least as large as a tile.
            available: Which modalities the case is encoded from, ``(M,)`` bool.
            draws: What to decode.
            num_outputs: K; 0 segments nothing.
            completed: Modalities to complete.
        """
        return CaseRun(self, data.to(self.results_device), available, draws, num_outputs, completed)

    def coverage(self, spatial: Sequence[int]) -> Tensor:
        """Sum of the tiles' weights in every voxel."""
        result = torch.zeros(tuple(spatial), device=self.results_device)
        for slicer in self.slicers:
            result[slicer[1:]] += self.weights
        return result

    def add(self, data: Tensor, maps: Sequence[Maps], on_progress: Callable[[float], None] | None = None) -> None:
        """Go over all tiles in all views that the draws need, and add what is decoded to the maps.

        Args:
            data: Preprocessed images, ``(M, *spatial)``, at least as large as a tile.
            maps: Where to add, one or more for each subset.
            on_progress: Called with the share of the tiles that has been done since the last call.
        """
        views = sorted(set().union(*(one.views for one in maps)))
        jobs = list(product(views, range(len(self.slicers))))
        for batch in self._batches(jobs):
            x = torch.stack([_flip(data[self.slicers[tile]].to(self.device), self.views[view]) for view, tile in batch])
            for items in self._batches(self._items(batch, x, maps)):
                self._decode(items)
            if on_progress is not None:
                on_progress(len(batch) / len(jobs))

    def _items(self, batch: Sequence[tuple[int, int]], x: Tensor, maps: Sequence[Maps]) -> Iterator[_Item]:
        by_subset: dict[tuple[bool, ...], list[Maps]] = {}
        for one in maps:
            by_subset.setdefault(tuple(one.subset.tolist()), []).append(one)
        fused = fused_for_each(self.network, x, [group[0].subset for group in by_subset.values()])
        for group, levels in zip(by_subset.values(), fused, strict=True):
            for row, (view, tile) in enumerate(batch):
                for one in group:
                    for draw in one.draws:
                        if draw.view == view:
                            generator = None if draw.number is None else self.noise(view, tile, draw.number)
                            yield _Item(one, view, tile, latents(levels, row, generator))

    def _decode(self, items: Sequence[_Item]) -> None:
        latents = [item.latents for item in items]
        z = [torch.cat(level) for level in zip(*latents, strict=True)]
        if items[0].maps.segmentation.shape[0]:
            for item, logits in zip(items, self.network.decode(self._enough(z)), strict=False):
                self._blend(item.maps.segmentation, self.nonlinearity(logits), item)
        rows = [row for row, item in enumerate(items) if item.maps.completed]
        if not rows:
            return
        # All images that any of them wants, of one pass: of what the decoder makes only the last layer differs.
        wanted = sorted(set(chain(*(items[row].maps.completed for row in rows))))
        chosen = z if len(rows) == len(items) else [level[rows] for level in z]
        *chosen, subsets = self._enough([*chosen, torch.stack([items[row].maps.subset for row in rows])])
        for row, images in zip(rows, self.network.complete(chosen, subsets, wanted), strict=False):
            own = [wanted.index(channel) for channel in items[row].maps.completed]
            images = images if len(own) == len(wanted) else images[own]
            self._blend(items[row].maps.completion, images.float(), items[row])

    def _enough(self, z: list[Tensor]) -> list[Tensor]:
        """A single sample is decoded twice on a CPU, see `AT_ONCE_ON_CPU`."""
        if len(z[0]) == 1 and self.device.type == "cpu":
            return [level.expand(AT_ONCE_ON_CPU, *level.shape[1:]) for level in z]
        return z

    def _batches(self, items: Iterable[Item]) -> Iterator[list[Item]]:
        return batches(items, self.at_once, join_single=self.device.type == "cpu")

    def _blend(self, whole: Tensor, values: Tensor, item: _Item) -> None:
        values = _flip(values, self.views[item.view]).to(self.results_device)
        whole[self.slicers[item.tile]] += values * self.weights


class CaseRun:
    """A case on its way, from one subset; `probabilities` must be gone through before `completion` is there."""

    def __init__(
        self,
        window: SlidingWindow,
        data: Tensor,
        available: Tensor,
        draws: Sequence[LatentDraw],
        num_outputs: int,
        completed: Sequence[int],
    ):
        self.window = window
        self.data = data
        self.available = available
        self.draws = list(draws)
        self.num_outputs = num_outputs
        self.completed = tuple(completed)
        self._coverage = window.coverage(data.shape[1:])
        self._completion = self._zeros(len(self.completed))

    def _zeros(self, channels: int) -> Tensor:
        return torch.zeros((channels, *self.data.shape[1:]), device=self.window.results_device)

    @property
    def completion(self) -> Tensor:
        """Mean over the draws of the completed images, ``(len(completed), *spatial)``, in units of the input."""
        return self._completion / (self._coverage * len(self.draws))

    def probabilities(self) -> Iterator[Tensor]:
        """Probability map of each draw, ``(num_outputs, *spatial)``; the next one may overwrite it.

        Draws of the posterior's mean do not vary, so their views share one map, their mean.
        """
        size = max(1, self.num_outputs * self.data[0].numel() * torch.float32.itemsize)
        # Maps of means add up in place.
        shared = self.draws[0].number is None
        groups = [self.draws] if shared else [[draw] for draw in self.draws]
        at_once = max(1, ACCUMULATOR_BYTES // size)
        passes = [groups[start : start + at_once] for start in range(0, len(groups), at_once)]
        sums = [self._zeros(self.num_outputs) for _ in passes[0]]
        tiles = len(self.window.slicers)
        with tqdm(total=len(passes) * tiles, disable=not self.window.progress) as bar:
            for of_pass in passes:
                maps = [
                    Maps(self.available, draws, total.zero_(), self.completed, self._completion)
                    for draws, total in zip(of_pass, sums, strict=False)
                ]
                self.window.add(self.data, maps, lambda share: bar.update(share * tiles))
                for one in maps:
                    yield one.segmentation.div_(self._coverage * len(one.draws))


def batches(items: Iterable[Item], size: int, join_single: bool) -> Iterator[list[Item]]:
    """Lists of ``size`` items.

    Args:
        items: What to batch; taken one by one.
        size: Of a batch.
        join_single: Whether a remainder of one joins the list before it, a single sample being slow on a CPU.
    """
    ahead = size + 2 if join_single and size > 1 else size
    waiting: list[Item] = []
    for item in items:
        waiting.append(item)
        if len(waiting) == ahead:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting:
        yield waiting


def _flip(values: Tensor, view: View) -> Tensor:
    """Mirror ``(channels, *spatial)`` along the view's axes; doing it twice undoes it."""
    return torch.flip(values, [axis + 1 for axis in view]) if view else values
