"""One case through the network of one fold: tiles, mirrored views, draws of the latents.

A tile is encoded once per mirrored view; for each draw only the decoders run. Tiles overlap and are blended with
nnU-Net's Gaussian weights, each draw on its own: what comes out are whole probability maps, one per draw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from nnunet_hetero.inference.sampling import Draw, View, latents

AT_ONCE = 2
"""Samples per pass of the network. torch's CPU path for one sample of a small 3D convolution is slower than that for
two; more than two bring nothing there, and memory stays below that of a training step."""

ACCUMULATOR_BYTES = 2 * 2**30
"""Largest size of the probability maps that are filled at the same time. If the draws of a case need more, the tiles
are gone through again for the next draws."""

Slicer = tuple[int | slice, ...]
Noise = Callable[[int, int, int], torch.Generator]
"""Random stream of a view, a tile and a draw, by their numbers."""


@dataclass
class SlidingWindow:
    """How a case is cut into tiles, and where its parts are computed.

    Args:
        network: `HeteroModalVAE` in evaluation mode, on ``device``.
        nonlinearity: From logits of one sample ``(K, *spatial)`` to probabilities.
        slicers: nnU-Net's tiles; each indexes ``(channels, *spatial)``.
        weights: Weight of each voxel of a tile, ``(*tile)`` float32 on ``results_device``.
        views: The mirrored views.
        device: Where the network computes.
        results_device: Where the probability maps are.
        noise: Random stream of a draw in a tile.
        progress: Whether to show a progress bar.
    """

    network: torch.nn.Module
    nonlinearity: Callable[[Tensor], Tensor]
    slicers: Sequence[Slicer]
    weights: Tensor
    views: Sequence[View]
    device: torch.device
    results_device: torch.device
    noise: Noise
    progress: bool = False

    def run(
        self, data: Tensor, available: Tensor, draws: Sequence[Draw], num_outputs: int, completed: Sequence[int]
    ) -> CaseRun:
        """Start on a case.

        Args:
            data: Preprocessed images, ``(M, *spatial)``, at least as large as a tile.
            available: Which modalities the case is encoded from, ``(M,)`` bool.
            draws: What to decode.
            num_outputs: K; 0 segments nothing.
            completed: Modalities to complete.
        """
        return CaseRun(self, data.to(self.results_device), available.to(self.device), draws, num_outputs, completed)


class CaseRun:
    """One case on its way; `probabilities` must be gone through before `completion` is there."""

    def __init__(
        self,
        window: SlidingWindow,
        data: Tensor,
        available: Tensor,
        draws: Sequence[Draw],
        num_outputs: int,
        completed: Sequence[int],
    ):
        self.window = window
        self.data = data
        self.available = available
        self.draws = list(draws)
        self.num_outputs = num_outputs
        self.completed = tuple(completed)
        spatial = data.shape[1:]
        self._coverage = torch.zeros(spatial, device=window.results_device)
        for slicer in window.slicers:
            self._coverage[slicer[1:]] += window.weights
        self._completion = torch.zeros((len(self.completed), *spatial), device=window.results_device)

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
        at_once = len(self.draws) if self.draws[0].number is None else max(1, ACCUMULATOR_BYTES // size)
        passes = [self.draws[start : start + at_once] for start in range(0, len(self.draws), at_once)]
        with tqdm(total=len(passes) * len(self.window.slicers), disable=not self.window.progress) as bar:
            for draws in passes:
                yield from self._pass(draws, bar)

    def _pass(self, draws: Sequence[Draw], bar: tqdm) -> Iterator[Tensor]:
        shared = draws[0].number is None
        slots = [0 if shared else slot for slot in range(len(draws))]
        maps = torch.zeros((max(slots) + 1, self.num_outputs, *self.data.shape[1:]), device=self.window.results_device)
        of_view: dict[int, list[tuple[Draw, int]]] = {}
        for draw, slot in zip(draws, slots, strict=True):
            of_view.setdefault(draw.view, []).append((draw, slot))
        jobs = [(view, tile) for view in of_view for tile in range(len(self.window.slicers))]
        for batch in batches(jobs, AT_ONCE):
            posterior = self._encode(batch)
            todo = [(row, draw, slot) for row, (view, _) in enumerate(batch) for draw, slot in of_view[view]]
            for part in batches(todo, AT_ONCE):
                self._decode(batch, posterior, part, maps)
            bar.update(len(batch) / len(of_view))
        for one in maps:
            yield one.div_(self._coverage * (len(draws) if shared else 1))

    def _encode(self, batch: Sequence[tuple[int, int]]) -> list:
        window = self.window
        x = torch.stack(
            [_flip(self.data[window.slicers[tile]].to(window.device), window.views[view]) for view, tile in batch]
        )
        experts = window.network.encode(x, self.available.expand(len(x), -1))
        return window.network.fuse(experts, len(x), x.shape[2:])

    def _decode(self, batch: Sequence[tuple[int, int]], posterior: list, part: Sequence, maps: Tensor) -> None:
        window = self.window
        samples = []
        for row, draw, _ in part:
            view, tile = batch[row]
            generator = None if draw.number is None else window.noise(view, tile, draw.number)
            samples.append(latents(posterior, row, generator))
        z = [torch.cat(level) for level in zip(*samples, strict=True)]
        if len(part) == 1 and window.device.type == "cpu":
            z = [level.expand(AT_ONCE, *level.shape[1:]) for level in z]
        logits = window.network.decoder(z) if self.num_outputs else None
        images = window.network.complete(z, self.completed) if self.completed else None
        for place, (row, _, slot) in enumerate(part):
            view, tile = batch[row]
            if logits is not None:
                self._blend(maps[slot], window.nonlinearity(logits[place]), view, tile)
            if images is not None:
                self._blend(self._completion, images[place].float(), view, tile)

    def _blend(self, whole: Tensor, values: Tensor, view: int, tile: int) -> None:
        values = _flip(values, self.window.views[view]).to(self.window.results_device)
        whole[self.window.slicers[tile]] += values * self.window.weights


def batches(items: Sequence, size: int) -> list[list]:
    """Lists of ``size`` items; a remainder of one joins the list before it, a single sample being slow on a CPU."""
    cut = [list(items[start : start + size]) for start in range(0, len(items), size)]
    if len(cut) > 1 and len(cut[-1]) == 1:
        last = cut.pop()
        cut[-1] += last
    return cut


def _flip(values: Tensor, view: View) -> Tensor:
    """Mirror ``(channels, *spatial)`` along the view's axes; doing it twice undoes it."""
    return torch.flip(values, [axis + 1 for axis in view]) if view else values
