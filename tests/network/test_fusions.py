"""Which fusions there are, and how a network gets the one of the settings."""

from __future__ import annotations

import pytest
import torch
from helpers.project.entry_points import installed_package
from helpers.tiny_network import masks, random_images, tiny_configuration
from torch import nn

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.network.feature_fusion import FeatureFusionUNet, UHeMIS
from nnunet_hetero.network.fusion import Gaussian
from nnunet_hetero.network.fusions import FUSIONS, FeatureFusion, GaussianFusion, Moments, Part, ProductOfGaussians
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.network.uhved_paper import PaperUHVED


class Weighted(FeatureFusion):
    """A sum with a learned weight per modality."""

    def __init__(self, channels, num_modalities, dimension, config):
        super().__init__(channels, num_modalities, dimension, config)
        self.weights = nn.Parameter(torch.arange(1.0, num_modalities + 1))

    def forward(self, parts, shape, device):
        total = torch.zeros(tuple(shape), device=device)
        for channel, features, samples in parts:
            total = total.index_add(0, samples, self.weights[channel] * features)
        return total


class FirstOnly(GaussianFusion):
    """What the first modality says, else the prior."""

    def forward(self, parts, shape, device):
        zeros = torch.zeros(tuple(shape), device=device)
        mean, log_variance = zeros, zeros
        for _, features, samples in parts[:1]:
            mean = mean.index_add(0, samples, features.chunk(2, 1)[0].float())
            log_variance = log_variance.index_add(0, samples, features.chunk(2, 1)[1].float())
        return Gaussian(mean, log_variance)


@pytest.fixture
def registered(monkeypatch):
    from nnunet_hetero import registry

    monkeypatch.setattr(registry, "_IN_THIS_PROCESS", {})
    FUSIONS.register("weighted", Weighted)
    FUSIONS.register("first_only", FirstOnly)


class TestChoice:
    def test_each_networks_own(self):
        assert isinstance(HeteroModalVAE.from_plans(tiny_configuration(), 4, 3, False).fusions[0], ProductOfGaussians)
        assert isinstance(PaperUHVED.from_plans(tiny_configuration(), 4, 3, False).fusions[3], ProductOfGaussians)
        assert isinstance(UHeMIS.from_plans(tiny_configuration(), 4, 3, False).fusions[1], Moments)

    def test_of_the_settings(self, registered):
        network = UHeMIS.from_plans(tiny_configuration(fusion="weighted"), 4, 3, False)
        assert [type(fusion) for fusion in network.fusions] == [Weighted] * 3
        network = HeteroModalVAE.from_plans(tiny_configuration(fusion="first_only"), 4, 3, False)
        assert [type(fusion) for fusion in network.fusions] == [FirstOnly] * 3

    def test_of_an_installed_package(self, tmp_path, monkeypatch):
        source = "from nnunet_hetero.network.fusions import Moments\n\n\nclass Mine(Moments):\n    pass\n"
        installed_package(tmp_path, monkeypatch, "theirs", source, {"nnunet_hetero.fusions": {"mine": "theirs:Mine"}})
        network = FeatureFusionUNet.from_plans(tiny_configuration(fusion="mine"), 4, 3, False)
        assert type(network.fusions[0]).__name__ == "Mine"

    def test_none_where_one_must_be_chosen(self):
        with pytest.raises(
            SettingsError, match=r"fusion is None, which FeatureFusionUNet cannot use.* moments; set one"
        ):
            FeatureFusionUNet.from_plans(tiny_configuration(), 4, 3, False)

    def test_unknown(self):
        with pytest.raises(SettingsError, match=r"fusion is 'mean'; it must be .*moments.*another package"):
            UHeMIS.from_plans(tiny_configuration(fusion="mean"), 4, 3, False)

    @pytest.mark.parametrize(
        ("network", "fusion"), [(UHeMIS, "product_of_gaussians"), (HeteroModalVAE, "moments"), (PaperUHVED, "moments")]
    )
    def test_of_the_other_kind(self, network, fusion):
        with pytest.raises(SettingsError, match=rf"'{fusion}', which {network.__name__} cannot use"):
            network.from_plans(tiny_configuration(fusion=fusion), 4, 3, False)

    def test_no_fusion(self):
        with pytest.raises(SettingsError, match="must be a class built on FeatureFusion or GaussianFusion"):
            FUSIONS.register("mine", nn.Identity)


class TestUse:
    def test_features_reach_it_by_modality_and_sample(self, registered):
        network = FeatureFusionUNet.from_plans(tiny_configuration(fusion="weighted"), 4, 3, False).eval()
        x, shown = random_images(), masks((0, 3), (3,))
        encoded = network.encode(x, shown)
        levels = network.fuse(encoded, 2, x.shape[2:])
        first, last = encoded[0].features[0], encoded[1].features[0]
        torch.testing.assert_close(levels[0][0], first[0] + 4 * last[0])
        torch.testing.assert_close(levels[0][1], 4 * last[1])

    def test_its_weights_are_trained_and_saved(self, registered):
        network = FeatureFusionUNet.from_plans(tiny_configuration(fusion="weighted"), 4, 3, False)
        assert "fusions.0.weights" in network.state_dict()
        assert network.fusions[0].weights.tolist() == [1, 2, 3, 4]  # nobody begins them anew
        network(random_images(), masks((0, 1), (1, 2))).square().mean().backward()
        gradient = network.fusions[0].weights.grad
        assert gradient[:3].abs().min() > 0 and gradient[3] == 0

    def test_posteriors_reach_it(self, registered):
        network = HeteroModalVAE.from_plans(tiny_configuration(fusion="first_only"), 4, 3, False).eval()
        x = random_images()
        both, alone = (
            network.fuse(network.encode(x, masks(*[subset] * 2)), 2, x.shape[2:]) for subset in ((1, 2), (1,))
        )
        for one, other in zip(both, alone, strict=True):
            torch.testing.assert_close(one.mean, other.mean)
            torch.testing.assert_close(one.log_variance, other.log_variance)

    def test_product_as_by_itself(self):
        """Its clamp is that of the settings."""
        config = tiny_configuration(
            max_abs_log_variance=2.0, initial_log_variance=-1.0, initial_log_variance_elsewhere=-1.0
        )
        fusion = HeteroModalVAE.from_plans(config, 4, 3, False).fusions[0]
        part = Part(0, torch.cat([torch.ones(1, 4, 2, 2, 2), torch.full((1, 4, 2, 2, 2), -7.0)], 1), torch.tensor([0]))
        found = fusion([part], (1, 4, 2, 2, 2), torch.device("cpu"))
        precision = 1 + torch.tensor(2.0).exp()
        torch.testing.assert_close(found.log_variance, -precision.log().expand(1, 4, 2, 2, 2))
