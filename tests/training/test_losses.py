"""The two terms beside nnU-Net's loss."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks, random_images
from torch.distributions import Normal, kl_divergence

from nnunet_hetero.network.fusion import Gaussian
from nnunet_hetero.training.losses import kl_to_standard_normal, masked_l2


def level(seed: int, *shape: int) -> Gaussian:
    return Gaussian(*torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed)))


def reference(gaussian: Gaussian) -> torch.Tensor:
    """KL of every element, by torch."""
    return kl_divergence(Normal(gaussian.mean, (0.5 * gaussian.log_variance).exp()), Normal(0.0, 1.0))


class TestKullbackLeibler:
    def test_one_level(self):
        gaussian = level(0, 2, 3, 4, 4, 4)
        torch.testing.assert_close(kl_to_standard_normal([gaussian]), reference(gaussian).mean())

    def test_levels_count_alike_whatever_their_size(self):
        levels = [level(0, 2, 8, 8, 8, 8), level(1, 2, 2, 2, 2, 2)]
        expected = (reference(levels[0]).mean() + reference(levels[1]).mean()) / 2
        torch.testing.assert_close(kl_to_standard_normal(levels), expected)

    def test_of_the_prior_is_zero(self):
        assert kl_to_standard_normal([Gaussian(torch.zeros(1, 2, 4, 4), torch.zeros(1, 2, 4, 4))]) == 0

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_float32(self, dtype):
        gaussian = Gaussian(torch.full((1, 1, 2, 2), 300.0, dtype=dtype), torch.full((1, 1, 2, 2), 10.0, dtype=dtype))
        found = kl_to_standard_normal([gaussian])
        assert found.dtype == torch.float32
        torch.testing.assert_close(found, reference(Gaussian(*(part.float() for part in gaussian))).mean())


class TestMaskedL2:
    IMAGES, COMPLETION = random_images(2, seed=0), random_images(2, seed=1)

    @pytest.mark.parametrize(
        "subsets", [[(0, 1, 2, 3), (0, 1, 2, 3)], [(0, 3), (1,)], [(), (2,)], [(0, 1, 2, 3), (3,)]]
    )
    def test_mean_over_what_is_had(self, subsets):
        had = [(row, channel) for row, subset in enumerate(subsets) for channel in subset]
        errors = [(self.IMAGES[at] - self.COMPLETION[at]).square().mean() for at in had]
        found = masked_l2(self.COMPLETION, self.IMAGES, masks(*subsets))
        torch.testing.assert_close(found, torch.stack(errors).mean())

    def test_absent_channels_have_no_influence(self):
        present, results = masks((0, 3), (1,)), []
        for content in (0.0, 1e3):
            images = torch.where(present[..., None, None, None], self.IMAGES, content)
            completion = self.COMPLETION.clone().requires_grad_()
            loss = masked_l2(completion, images, present)
            loss.backward()
            assert (completion.grad.flatten(2).any(dim=2) == present).all()
            results.append((loss.detach(), completion.grad))
        for one, other in zip(*results, strict=True):
            assert torch.equal(one, other)

    def test_nothing_there(self):
        assert masked_l2(self.COMPLETION, self.IMAGES, masks((), ())) == 0

    def test_float32(self):
        present = masks((0, 1, 2, 3), (0,))
        # Squares that overflow float16.
        found = masked_l2((self.COMPLETION + 300).half(), self.IMAGES.half(), present)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(masked_l2(self.COMPLETION + 300, self.IMAGES, present).item(), rel=1e-2)
