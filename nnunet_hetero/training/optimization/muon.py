"""Muon: steps along the orthogonalised momentum of a layer's weights, so that all directions of them learn alike.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024,
https://kellerjordan.github.io/posts/muon; the length of a step is that of Liu et al., "Muon is Scalable for LLM
Training", 2025, arXiv 2502.16982, section 2.2. A layer is seen as a matrix, output channels by all else. torch's own
Muon takes no convolutions, and timm's takes several times as long on a CPU: here the iteration runs on XXᵀ, which is
smaller than the layer by the size of its kernel.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.optim import AdamW

COEFFICIENTS = (
    (4.0848, -6.8946, 2.9270),
    (3.9505, -6.3029, 2.6377),
    (3.7418, -5.5913, 2.3037),
    (2.8769, -3.1427, 1.2046),
    (2.8366, -3.0525, 1.2012),
)
"""a, b, c of each step X ← aX + b(XXᵀ)X + c(XXᵀ)²X, which brings singular values close to 1; by Cesista et al., 2025,
https://leloykun.github.io/ponder/muon-opt-coeffs"""

ROOT_MEAN_SQUARE = 0.2
"""Of a step's elements, before the learning rate; AdamW's is about the same (Liu et al., 2025)."""


class Muon(AdamW):
    """Muon for the convolutions of hidden layers, AdamW for all else: biases, norms, first and last layers.

    Args:
        network: What is trained.
        lr: Learning rate, of both; a step of Muon is about as long as one of AdamW at the same rate.
        weight_decay: Decoupled, as AdamW's.
        momentum: Of Muon (Nesterov's).
    """

    def __init__(self, network: nn.Module, lr: float, weight_decay: float, momentum: float = 0.95):
        hidden = hidden_weights(network)
        known = set(hidden)
        others = [parameter for parameter in network.parameters() if parameter not in known]
        groups: list[dict[str, Any]] = [{"params": others, "momentum": None}, {"params": hidden, "momentum": momentum}]
        super().__init__(groups, lr=lr, weight_decay=weight_decay, fused=True)
        # The fused AdamW skips a step that overflowed itself; here the scaler of mixed precision does it for all.
        self._step_supports_amp_scaling = False

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]  # torch: float
        """One step."""
        groups = self.param_groups
        try:
            self.param_groups = [group for group in groups if group["momentum"] is None]
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        for group in groups:
            if group["momentum"] is not None:
                self._step_along_momentum(group)
        return loss

    def _step_along_momentum(self, group: dict) -> None:
        weights = [weight for weight in group["params"] if weight.grad is not None]
        if not weights:
            return
        momentum, decay = group["momentum"], 1 - group["lr"] * group["weight_decay"]
        gradients = [weight.grad for weight in weights]
        means = [self._mean_gradient(weight) for weight in weights]
        torch._foreach_lerp_(means, gradients, 1 - momentum)
        directions = torch._foreach_lerp(gradients, means, momentum)  # Nesterov's: the mean as it will be
        matrices = [direction.reshape(len(direction), -1) for direction in directions]
        for weight, matrix, root in zip(weights, matrices, inverse_roots(matrices), strict=True):
            scale = group["lr"] * ROOT_MEAN_SQUARE * max(matrix.shape) ** 0.5
            factors = (root, matrix) if len(root) == len(matrix) else (matrix, root)
            weight.view_as(matrix).addmm_(*factors, beta=decay, alpha=-scale)

    def _mean_gradient(self, weight: Tensor) -> Tensor:
        state = self.state[weight]
        if not state:
            # Under AdamW's names: it looks at all states when it is loaded.
            state["step"], state["exp_avg"] = torch.tensor(0.0), torch.zeros_like(weight)
        return state["exp_avg"]


def hidden_weights(network: nn.Module) -> list[nn.Parameter]:
    """Weights of all convolutions but the first, of a single channel, and the last, nnU-Net's ``seg_layers``."""
    found: dict[nn.Parameter, None] = {
        cast(nn.Parameter, module.weight): None
        for name, module in network.named_modules()
        if isinstance(module, _ConvNd) and min(module.in_channels, module.out_channels) > 1 and "seg_layers" not in name
    }
    return list(found)


def inverse_roots(matrices: Sequence[Tensor]) -> list[Tensor]:
    """What makes matrices nearly semi-orthogonal: with R from here, RX (XR, if X is tall) has singular values near 1.

    R is about (XXᵀ)^-½, or (XᵀX)^-½. Each step of Newton and Schulz is a polynomial of XXᵀ times X, so all of them
    together are one; matrices with equally many rows (columns, if tall) are taken in one go.

    Args:
        matrices: Each ``(rows, columns)``, float32 or float64.

    Returns:
        Square and symmetric, one for each matrix, of its smaller side; 0 for zeros.
    """
    grams = [matrix @ matrix.mT if len(matrix) <= matrix.shape[1] else matrix.mT @ matrix for matrix in matrices]
    by_size: dict[int, list[int]] = defaultdict(list)
    for place, gram in enumerate(grams):
        by_size[len(gram)].append(place)
    found = list(grams)
    for places in by_size.values():
        for place, root in zip(places, _inverse_roots(torch.stack([grams[place] for place in places])), strict=True):
            found[place] = root
    return found


def _inverse_roots(grams: Tensor) -> Tensor:
    # The sum of squares of X's elements; divided by its root, no singular value is above 1.
    squares = grams.diagonal(dim1=1, dim2=2).sum(dim=1).clamp(min=torch.finfo(grams.dtype).tiny).view(-1, 1, 1)
    grams = grams / squares
    product = squares.rsqrt()
    for a, b, c in COEFFICIENTS:
        step = torch.baddbmm(grams, grams, grams, beta=b, alpha=c)
        step.diagonal(dim1=1, dim2=2).add_(a)
        product = step * product if product.shape[1] == 1 else step @ product
        grams = step @ grams @ step
    return product
