"""Which part of a network moves how many bytes in a training step, forward and backward.

In the forward pass the part is told when it begins and ends. In the backward pass it is read off the node of the graph
that is at work: after each part the nodes that it has added to the graph are its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from measuring.counting import Counter
from nnunet_hetero.network.hetero_modal import HeteroModalVAE

ENCODERS, FUSION, DECODER, IMAGES, SINGLES = (
    "encoders",
    "heads, product, noise, divergence",
    "segmentation decoder",
    "image decoder",
    "segmentation from one modality alone",
)
REST = "losses, clipping, optimiser"
PARTS = (ENCODERS, FUSION, DECODER, IMAGES, SINGLES, REST)


class PartsCounter(Counter):
    """Counts by part, under ``by_phase`` of its counts.

    Args:
        network: nnU-Net's or ours.
        standing: See `Counter`.
    """

    def __init__(self, network: nn.Module, standing):
        self._nodes: dict[Any, str] = {}
        self._part = self._latest = REST
        super().__init__(standing)
        ours = isinstance(network, HeteroModalVAE)
        encoders: Any = network.encoders if ours else [network.encoder]
        images = [network.image_decoder] if ours and network.image_decoder is not None else []
        for part, modules in ((ENCODERS, encoders), (DECODER, [network.decoder]), (IMAGES, images)):
            for module in modules:
                module.forward = partial(self._within, part, module.forward)
        methods = {"fuse_and_draw": FUSION, "_segment_alone": SINGLES}
        for name, part in methods.items() if ours else ():
            setattr(network, name, partial(self._within, part, getattr(network, name)))

    @property
    def phase(self) -> str:  # type: ignore[override]  # what is computed now decides
        """The part whose gradient is computed, if one is; else the one that is called.

        Losses come first in the backward pass. Later, a node that no part has is of what the latest one computes again.
        """
        node = torch._C._current_autograd_node()
        if node is None:
            self._latest = REST
            return self._part
        self._latest = self._nodes.get(node, self._latest)
        return self._latest

    @phase.setter
    def phase(self, part: str) -> None:
        """Parts tell themselves, `_within`."""

    def _within(self, part: str, call: Callable, *arguments, **keywords):
        before, self._part = self._part, part
        try:
            result = call(*arguments, **keywords)
        finally:
            self._part = before
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor) and leaf.grad_fn is not None:
                self._claim(leaf.grad_fn, part)
        return result

    def _claim(self, node: Any, part: str) -> None:
        """All nodes above that no part has claimed before."""
        todo = [node]
        while todo:
            one = todo.pop()
            if one is not None and one not in self._nodes:
                self._nodes[one] = part
                todo += [above for above, _ in one.next_functions]

    def restart(self) -> None:
        """See `Counter`; the graph of the step before is gone."""
        super().restart()
        self._nodes.clear()
