"""The two terms beside nnU-Net's loss."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks, random_images
from torch.distributions import Normal, kl_divergence

from nnunet_hetero.network.fusion import Gaussian, kl_to_standard_normal
from nnunet_hetero.training.optimization.losses import foreground, masked_l2


def level(seed: int, *shape: int) -> Gaussian:
    return Gaussian(*torch.randn(2, *shape, generator=torch.Generator().manual_seed(seed)))


def reference(gaussian: Gaussian) -> torch.Tensor:
    """KL of every element, by torch."""
    return kl_divergence(Normal(gaussian.mean, (0.5 * gaussian.log_variance).exp()), Normal(0.0, 1.0))


class TestKullbackLeibler:
    def test_one_level(self):
        gaussian = level(0, 2, 3, 4, 4, 4)
        torch.testing.assert_close(kl_to_standard_normal([gaussian]), reference(gaussian).mean())

    LEVELS = (level(0, 2, 8, 8, 8, 8), level(1, 2, 2, 2, 2, 2))

    def test_elements_count_alike(self):
        expected = torch.cat([reference(gaussian).flatten() for gaussian in self.LEVELS]).mean()
        torch.testing.assert_close(kl_to_standard_normal(self.LEVELS), expected)

    def test_levels_count_alike_on_demand(self):
        expected = torch.stack([reference(gaussian).mean() for gaussian in self.LEVELS]).mean()
        torch.testing.assert_close(kl_to_standard_normal(self.LEVELS, "levels"), expected)

    def test_gradient(self):
        """As autograd has it for torch's own divergence."""
        found, expected = [level(0, 2, 3, 4, 4, 4) for _ in range(2)]
        for gaussian in (found, expected):
            for part in gaussian:
                part.requires_grad_()
        (3 * kl_to_standard_normal([found])).backward()
        (3 * reference(expected).mean()).backward()
        for one, other in zip(found, expected, strict=True):
            torch.testing.assert_close(one.grad, other.grad)

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

    def test_only_voxels_that_count(self):
        """Outside of them neither image nor completion matters, and a small brain weighs as much as a large one."""
        where = torch.zeros(2, 1, *self.IMAGES.shape[2:], dtype=torch.bool)
        where[0, :, :2], where[1, :, :5] = True, True
        present = masks((0, 1), (2,))
        at = [(0, 0, slice(2)), (0, 1, slice(2)), (1, 2, slice(5))]
        expected = torch.stack([(self.IMAGES[i] - self.COMPLETION[i]).square().mean() for i in at]).mean()
        found = masked_l2(torch.where(where, self.COMPLETION, 1e3), self.IMAGES, present, where)
        torch.testing.assert_close(found, expected)
        assert masked_l2(self.COMPLETION, self.IMAGES, present, torch.zeros_like(where)) == 0

    def test_gradient_by_hand(self):
        where = torch.rand(2, 1, *self.IMAGES.shape[2:], generator=torch.Generator().manual_seed(0)) > 0.5
        present, small = masks((0, 1, 3), (2,)), (..., slice(2), slice(2), slice(2))
        completion = self.COMPLETION[small].double().requires_grad_()
        images = self.IMAGES[small].double()

        def loss(given):
            return masked_l2(given, images, present, where[small]).double()

        # The sum is float32's, and so are the differences: steps and tolerance are those of float32.
        assert torch.autograd.gradcheck(loss, (completion,), eps=1e-2, atol=1e-3, rtol=1e-3)

    def test_nothing_there(self):
        assert masked_l2(self.COMPLETION, self.IMAGES, masks((), ())) == 0

    def test_float32(self):
        present = masks((0, 1, 2, 3), (0,))
        # Squares that overflow float16.
        found = masked_l2((self.COMPLETION + 300).half(), self.IMAGES.half(), present)
        assert found.dtype == torch.float32
        assert found.item() == pytest.approx(masked_l2(self.COMPLETION + 300, self.IMAGES, present).item(), rel=1e-2)


def test_foreground_is_where_a_present_image_has_signal():
    images = torch.zeros(2, 3, 2, 2)
    images[0, 0, 0, 0], images[0, 1, 0, 1], images[1, 2, 1, 1], images[1, 0, 1, 0] = 1.0, -2.0, 3.0, 4.0
    found = foreground(images, torch.tensor([[True, True, False], [False, False, True]]))
    assert found.shape == (2, 1, 2, 2)
    assert found[0, 0].tolist() == [[True, True], [False, False]]
    assert found[1, 0].tolist() == [[False, False], [False, True]]
