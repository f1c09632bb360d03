"""The arithmetic of the fusion, as it is written and as torch.compile takes it."""

from __future__ import annotations

import pytest
import torch

from nnunet_hetero.network.fusing.fusible import compile_fusible, restore_fusible
from nnunet_hetero.network.fusing.rows import Rows
from nnunet_hetero.network.fusion import GROUP, Expert, Product, kl_to_standard_normal, product_of_gaussians


@pytest.fixture
def compiled():
    """What torch.compile gets to see; the graphs are run as they are."""
    graphs = []

    def backend(graph, inputs):
        graphs.append(graph)
        return graph.forward

    torch._dynamo.reset()
    compile_fusible(backend=backend, fullgraph=True)
    yield graphs
    restore_fusible()
    torch._dynamo.reset()


def fused_step(dtype: torch.dtype) -> list[torch.Tensor]:
    """Forward and backward of everything: consecutive and scattered samples, some log-variances clamped."""
    generator = torch.Generator().manual_seed(0)
    rows = [Rows.of([0, 1, 2]), Rows.of([0, 2]), Rows.of([1])]
    leaves = [
        (6 * torch.randn(len(samples), 4, 3, 3, 3, generator=generator)).to(dtype).requires_grad_() for samples in rows
    ]
    fused = product_of_gaussians(list(map(Expert, leaves, rows)), (3, 2, 3, 3, 3), "cpu", 10.0)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
        draw = fused.sample(torch.Generator().manual_seed(1))
    kl = kl_to_standard_normal([fused])
    (draw.float().square().mean() + kl).backward()
    return [*fused, draw, kl, *(leaf.grad for leaf in leaves)]


def drawn_step(dtype: torch.dtype) -> list[torch.Tensor]:
    """The same with a draw in the pass of the product, of one group of modalities and of two."""
    found = []
    for number in (2, GROUP + 1):
        generator = torch.Generator().manual_seed(0)
        torch.manual_seed(1)
        leaves = [6 * torch.randn(2, 4, 3, 3, 3, generator=generator) for _ in range(number)]
        leaves = [leaf.to(dtype).requires_grad_() for leaf in leaves]
        product = Product((2, 2, 3, 3, 3), "cpu", 10.0)
        for leaf in leaves:
            product.multiply(Expert(leaf, Rows.of([0, 1])))
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=dtype == torch.bfloat16):
            drawn = product.drawn()
        (drawn.latent.float().square().mean() + drawn.divergence).backward()
        found += [*drawn.posterior, drawn.latent, drawn.divergence, *(leaf.grad for leaf in leaves)]
    return found


@pytest.mark.parametrize("step", [fused_step, drawn_step])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_same_result_without_a_break_of_the_graph(compiled, dtype, step):
    """``fullgraph`` raises at a break, which would be one kernel more."""
    found = step(dtype)
    assert compiled
    restore_fusible()
    for one, other in zip(found, step(dtype), strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other)
