"""More modalities than are multiplied at once: as if each had been multiplied in alone. A draw in the same pass."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from nnunet_hetero.network.fusing.product import GRADIENTS
from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.fusion import GROUP, Drawn, Expert, Gaussian, Product

BATCH, LATENTS, VOXELS, BOUND = 3, 2, 5, 2.0
NUMBERS = sorted({1, GRADIENTS, GRADIENTS + 1, GROUP, GROUP + 1, 2 * GROUP, 2 * GROUP + 1})


def rows_of(number: int) -> list[Rows]:
    """All samples, one, two apart, and so on."""
    kinds = [[0, 1, 2], [1], [0, 2], [0, 1], [2]]
    return [Rows.of(kinds[place % len(kinds)]) for place in range(number)]


def experts_of(number: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Parameters of each, some log-variances beyond the clamp."""
    generator = torch.Generator().manual_seed(number)
    shapes = [(len(rows), 2 * LATENTS, VOXELS) for rows in rows_of(number)]
    return [2 * torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes]


def directly(experts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """The formula, by torch's own operations and gradients."""
    precision = torch.ones(BATCH, LATENTS, VOXELS, dtype=torch.float64)
    weighted = torch.zeros_like(precision)
    for expert, rows in zip(experts, rows_of(len(experts)), strict=True):
        mean, log_variance = expert.chunk(2, dim=1)
        own, index = torch.exp(-log_variance.clamp(-BOUND, BOUND)), rows.as_tensor("cpu")
        precision = precision.index_add(0, index, own)
        weighted = weighted.index_add(0, index, own * mean)
    return weighted / precision, -precision.log()


def multiplied(experts: list[Tensor]) -> tuple[Tensor, Tensor]:
    """By the product."""
    return product_of(experts).posterior()


def product_of(experts: list[Tensor]) -> Product:
    product = Product((BATCH, LATENTS, VOXELS), "cpu", BOUND, torch.float64)
    for expert, rows in zip(experts, rows_of(len(experts)), strict=True):
        product.multiply(Expert(expert, rows))
    return product


@pytest.mark.parametrize("number", NUMBERS)
class TestGroups:
    def test_as_the_formula(self, number):
        for found, wanted in zip(multiplied(experts_of(number)), directly(experts_of(number)), strict=True):
            torch.testing.assert_close(found, wanted)

    def test_same_without_a_gradient_to_come(self, number):
        """What is multiplied in one by one, as in a prediction, is bit for bit what a training has."""
        with torch.no_grad():
            alone = multiplied(experts_of(number))
        for found, wanted in zip(alone, multiplied(experts_of(number)), strict=True):
            assert torch.equal(found, wanted)

    def test_gradients_as_the_formula(self, number):
        """Within the clamp; beyond it ours lets through what leads back."""
        gradients = []
        for function in (multiplied, directly):
            leaves = [expert.clamp(-0.9 * BOUND, 0.9 * BOUND).requires_grad_() for expert in experts_of(number)]
            mean, log_variance = function(leaves)
            gradients.append(torch.autograd.grad(mean.sin().sum() + log_variance.square().sum(), leaves))
        for found, wanted in zip(*gradients, strict=True):
            torch.testing.assert_close(found, wanted)

    def test_gradients_of_heads(self, number):
        """Made again in the backward pass, they have those of heads whose output is kept."""
        torch.manual_seed(0)
        heads = [nn.Conv1d(3, 2 * LATENTS, 1).double() for _ in range(number)]
        features = [torch.randn(len(rows), 3, VOXELS, dtype=torch.float64) for rows in rows_of(number)]
        found = []
        for again in (True, False):
            leaves = [one.clone().requires_grad_() for one in features]
            product = Product((BATCH, LATENTS, VOXELS), "cpu", BOUND, torch.float64)
            for leaf, head, rows in zip(leaves, heads, rows_of(number), strict=True):
                if again:
                    product.multiply_head(rows, leaf, head)
                else:
                    product.multiply(Expert(head(leaf), rows))
            mean, log_variance = product.posterior()
            weights = [weight for head in heads for weight in head.parameters()]
            found.append(torch.autograd.grad(mean.sin().sum() + log_variance.sum(), [*leaves, *weights]))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)


def drawn_at_once(experts: list[Tensor]) -> Drawn:
    return product_of(experts).drawn()


def drawn_after(experts: list[Tensor]) -> Drawn:
    """By operations of torch, sample by sample as the noise is drawn."""
    mean, log_variance = directly(experts)
    deviation = torch.stack([(0.5 * one).exp() * torch.randn_like(one) for one in log_variance.detach().unbind()])
    latent = mean + (0.5 * (log_variance - log_variance.detach())).exp() * deviation
    divergence = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).mean()
    return Drawn(Gaussian(mean, log_variance), latent, divergence)


LOSSES = {
    "draw": lambda drawn: drawn.latent.sin().sum(),
    "divergence": lambda drawn: 3 * drawn.divergence,
    "draw and divergence": lambda drawn: drawn.latent.sin().sum() + 3 * drawn.divergence,
    "mean as well": lambda drawn: drawn.latent.sin().sum() + drawn.posterior.mean.cos().sum() + drawn.divergence,
    "posterior": lambda drawn: drawn.posterior.mean.cos().sum() + drawn.posterior.log_variance.square().sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("number", NUMBERS)
def test_drawn_in_the_same_pass(number, loss):
    """As the formula: the posterior, the draw, the divergence, and the gradients of whichever of them is used."""
    found = []
    for function in (drawn_at_once, drawn_after):
        torch.manual_seed(4)
        leaves = [expert.clamp(-0.9 * BOUND, 0.9 * BOUND).requires_grad_() for expert in experts_of(number)]
        drawn = function(leaves)
        gradients = torch.autograd.grad(LOSSES[loss](drawn), leaves)
        found.append([*drawn.posterior, drawn.latent, drawn.divergence, *gradients])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_a_draw_has_the_type_of_decoders():
    experts = [expert.float().requires_grad_() for expert in experts_of(2)]
    product = Product((BATCH, LATENTS, VOXELS), "cpu", BOUND)
    for expert, rows in zip(experts, rows_of(2), strict=True):
        product.multiply(Expert(expert, rows))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        (mean, log_variance), latent, divergence = product.drawn()
    assert latent.dtype == torch.bfloat16
    assert mean.dtype == log_variance.dtype == divergence.dtype == torch.float32
    assert all(one.dtype == torch.float32 for one in torch.autograd.grad(latent.float().sum(), experts))


def test_an_earlier_group_without_gradient():
    """Encoders that are not trained: the others' gradients are the same."""
    experts = experts_of(GROUP + 2)
    gradients = []
    for frozen in (True, False):
        leaves = [expert.clone().requires_grad_(not frozen or place >= GROUP) for place, expert in enumerate(experts)]
        gradients.append(torch.autograd.grad(multiplied(leaves)[0].square().sum(), leaves[GROUP:]))
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
