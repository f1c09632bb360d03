"""The networks to compare with: each sample its own subset, from any subset, and what each is built of."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import build, configured, masks, random_images

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import all_subsets
from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.feature_fusion import UHeMIS
from nnunet_hetero.network.hemis import HeMIS
from nnunet_hetero.network.uhved_paper import PaperUHVED

ALL = (0, 1, 2, 3)
FLAT = [[1, 1], [2, 2], [2, 2]]


NETWORKS = {
    "U-HeMIS": (UHeMIS, {}, (8, 8, 8)),
    "U-HeMIS, residual": (UHeMIS, {"residual": True}, (8, 8, 8)),
    "U-HeMIS, 2d": (UHeMIS, {"strides": FLAT}, (8, 16)),
    "early fusion": (EarlyFusionUNet, {}, (8, 8, 8)),
    "early fusion, 2d": (EarlyFusionUNet, {"strides": FLAT}, (8, 16)),
    "paper": (PaperUHVED, {}, (8, 16, 8)),
    "paper, odd sizes": (PaperUHVED, {}, (9, 14, 11)),
    "paper, 2d": (PaperUHVED, {"strides": FLAT}, (16, 8)),
    "HeMIS": (HeMIS, {"strides": FLAT}, (9, 12)),
}


@pytest.fixture(params=NETWORKS)
def network_and_images(request):
    """A network, and five samples for it."""
    kind, configuration, size = NETWORKS[request.param]
    return build(kind, configuration, size), random_images(5, 4, size)


class TestSubsets:
    def test_a_batch_of_subsets_equals_each_alone(self, network_and_images):
        network, x = network_and_images
        available = masks((0,), (), ALL, (1, 3), (0, 2))
        together = network(x, available)
        assert together.shape == (5, 3, *x.shape[2:])
        for row in range(len(x)):
            alone = network(x[row : row + 1], available[row : row + 1])
            torch.testing.assert_close(together[row : row + 1], alone, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("content", [0.0, 1e4, float("nan")])
    def test_content_of_absent_channels_does_not_matter(self, network_and_images, content):
        network, x = network_and_images
        available = masks((0, 3), (1,), ALL, (), (2,))
        changed = torch.where(available.view(5, 4, *[1] * (x.ndim - 2)), x, content)
        assert torch.equal(network(x, available), network(changed, available))

    def test_every_subset_has_its_own_answer(self, network_and_images):
        network, x = network_and_images
        answers = torch.stack([network(x[:1], masks(subset)) for subset in all_subsets(4)])
        assert torch.pdist(answers.flatten(1)).min() > 1e-4

    def test_absence_is_read_off_the_zero_channels(self, network_and_images):
        network, x = network_and_images
        x[:, 1] = 0
        assert torch.equal(network(x), network(x, masks(*[(0, 2, 3)] * 5)))

    def test_wrong_number_of_channels(self, network_and_images):
        network, x = network_and_images
        with pytest.raises(SettingsError, match=r"input has 3 channel\(s\), .* built for 4 modalities"):
            network(x[:, :3])

    def test_gradients_are_finite_for_every_subset(self, network_and_images):
        """Also of variances that are 0."""
        network, x = network_and_images
        for subset in ((), (0,), (1, 2), ALL):
            network.train().zero_grad()
            network(x, masks(*[subset] * 5)).square().mean().backward()
            assert all(p.grad is None or torch.isfinite(p.grad).all() for p in network.parameters())

    def test_distributed_training_finds_a_gradient_of_every_parameter(self, network_and_images):
        network, x = network_and_images
        network.train().touch_absent_encoders = True
        network.decoder.deep_supervision = True
        output = network(x, masks(*[(1,)] * 5), **({"full": True} if network.stochastic else {}))
        parts = [output.segmentation, output.completion] if network.stochastic else output
        sum(part.square().mean() for part in parts).backward()
        assert all(p.grad is not None for p in network.parameters())

    def test_compiled_parts_give_the_same(self, network_and_images):
        network, x = network_and_images
        available = masks((0,), (1, 2), ALL, (3,), (0, 3))
        expected = network(x, available)
        torch._dynamo.reset()
        network.compile_parts(backend="eager")
        torch.testing.assert_close(network(x, available), expected, rtol=1e-4, atol=1e-4)
        torch._dynamo.reset()

    def test_cascades_are_refused(self):
        for kind, configuration, size in NETWORKS.values():
            manager = configured(configuration, size)
            manager.configuration["previous_stage"] = "3d_lowres"
            with pytest.raises(SettingsError, match="does not support cascades"):
                kind.from_plans(manager, 4, 3, False)


@pytest.mark.parametrize("kind", [UHeMIS, EarlyFusionUNet])
def test_deep_supervision_is_switched_as_nnunet_does(kind):
    network = build(kind, {}, (8, 8, 8), deep_supervision=True)
    assert [level.shape[2] for level in network(random_images())] == [8, 4]
    network.decoder.deep_supervision = False
    assert network(random_images()).shape == (2, 3, 8, 8, 8)
