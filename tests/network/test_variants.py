"""The networks to compare with: each sample its own subset, from any subset, and what each is built of."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_configuration, tiny_network
from torch import nn

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import all_subsets
from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.network.hemis import HeMIS
from nnunet_hetero.network.u_hemis import UHeMIS
from nnunet_hetero.network.uhved_paper import PaperUHVED

ALL = (0, 1, 2, 3)
FLAT = [[1, 1], [2, 2], [2, 2]]


def configured(configuration, size, **settings):
    """A configuration of the plans whose patch has as many axes as the images of a test."""
    manager = tiny_configuration(**configuration, **settings)
    manager.configuration["patch_size"] = list(size)
    return manager


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


def build(kind, configuration, size, modalities=4, deep_supervision=False, **settings):
    """A network with seeded weights, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        manager = configured(configuration, size, **settings)
        return kind.from_plans(manager, modalities, 3, deep_supervision).eval()


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


class TestUHeMIS:
    def test_same_encoders_and_decoder_as_ours(self):
        """But for norms at the finest level; where our decoder takes a latent it takes two moments of features."""
        theirs, ours = build(UHeMIS, {}, (8, 8, 8)), tiny_network(finest_norm=True)
        takes_latents = ("stages.0.convs.0.conv", "stages.1.convs.0.conv", "transpconvs.0")

        def shapes(network) -> dict:
            others = ("heads", "image_decoder", *(f"decoder.{name}" for name in takes_latents))
            return {
                name: p.shape for name, p in network.named_parameters() if not any(other in name for other in others)
            }

        assert shapes(theirs) == shapes(ours)
        for network, channels in ((theirs, (16, 8, 16)), (ours, (4, 4, 8))):
            decoder = network.decoder
            assert [stage.convs[0].input_channels for stage in decoder.stages] == [8 + channels[1], 8 + channels[0]]
            assert decoder.transpconvs[0].in_channels == channels[2]

    def test_the_second_half_of_the_skips_is_zero_for_one_modality(self):
        network, x = build(UHeMIS, {}, (8, 8, 8)), random_images()
        for subset in ((2,), (0, 3)):
            levels = network.fuse(network.encode(x, masks(subset, subset)), 2, x.shape[2:])
            assert all(level[:, level.shape[1] // 2 :].any() == (len(subset) > 1) for level in levels)


class TestPaper:
    def test_number_of_parameters(self):
        """1.25 million for four modalities and four classes.

        An encoder: 8 + 27 (2·8² + 8·16 + 16² + 16·32 + 32² + 32·64 + 64²) = 221 192; a decoder without its last
        layer: 27 (48·32 + 32·16 + 24·16 + 16·8 + 12·8 + 8·4) = 72 576. Beside these convolutions there are the scales
        and shifts of the instance norms.
        """
        network = PaperUHVED(3, 4, 4)
        convolutions = [m for m in network.modules() if isinstance(m, nn.Conv3d)]
        last = 4 * 4 + 4 + 4 * (4 + 1)
        assert sum(m.weight.numel() for m in convolutions) + 8 == 4 * 221_192 + 5 * 72_576 + last
        assert sum(p.numel() for p in network.parameters()) == pytest.approx(1.25e6, rel=0.001)

    def test_levels(self):
        network, x = PaperUHVED(3, 4, 4), random_images(1, 4, (16, 16, 24))
        posterior = network(x, full=True).posterior
        assert [level.mean.shape[1:] for level in posterior] == [
            (4, 16, 16, 24),
            (8, 8, 8, 12),
            (16, 4, 4, 6),
            (32, 2, 2, 3),
        ]

    def test_norm_before_nonlinearity_before_convolution(self):
        kinds = [type(layer).__name__ for layer in PaperUHVED(3, 1, 2).encoders[0].backbone.blocks[1]]
        assert kinds == ["InstanceNorm3d", "LeakyReLU", "Conv3d"] * 2

    def test_half_of_the_features_are_means_half_log_variances(self):
        encoder = PaperUHVED(3, 1, 2).encoders[0]
        features = encoder(random_images(2, 1, (16, 8, 8)))
        assert features[1].shape[1] == 16
        assert torch.equal(encoder.posterior(1, features[1]), features[1])

    def test_without_image_decoders(self):
        network = build(PaperUHVED, {}, (16, 8, 8), image_decoders=False)
        assert network(random_images(1, 4, (16, 8, 8)), full=True).completion is None


class TestHeMIS:
    def test_layers(self):
        network = HeMIS(4, 3)
        shapes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, nn.Conv2d)]
        assert shapes == [(48, 1, 5, 5), (48, 48, 5, 5)] * 4 + [(16, 96, 5, 5), (3, 16, 21, 21)]

    def test_pooling_takes_the_largest_of_each_pixel_and_the_next(self):
        back_end, x = HeMIS(1, 2).encoders[0].backbone, random_images(1, 1, (6, 7))
        features, (pooled,) = back_end.convolutions(x), back_end(x)
        assert pooled.shape == features.shape
        assert torch.equal(pooled[..., 2, 3], features[..., 2:4, 3:5].amax((2, 3)))
        assert torch.equal(pooled[..., 5, 6], features[..., 5, 6])

    def test_only_in_2d(self):
        with pytest.raises(SettingsError, match=r"HeMIS is a 2D network, .* patches of 3 axes"):
            build(HeMIS, {}, (8, 8, 8))


class TestOneSubset:
    def test_only_its_channels_are_seen(self):
        network, x = build(EarlyFusionUNet, {}, (8, 8, 8), subset=[1, 3]), random_images()
        assert network.required == (1, 3)
        assert network.unet.encoder.stages[0][0].convs[0].conv.in_channels == 2
        changed = x.clone()
        changed[:, [0, 2]] = 7
        assert torch.equal(network(x), network(changed))
        assert torch.equal(network(x), network.unet(x[:, [1, 3]]))


class TestSeveralSubsetsAtOnce:
    def test_as_one_after_the_other(self):
        network, x = tiny_network(deep_supervision=True), random_images(3)
        subsets = torch.stack([masks(ALL, (0, 1), (3,)), masks((0,), (0,), (3,)), masks((2, 3), (1,), (3,))])
        found = network(x, subsets, full=True)
        for output, available in zip(found, subsets, strict=True):
            alone = network(x, available, full=True)
            for one, other in zip(output.segmentation, alone.segmentation, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(output.completion, alone.completion, rtol=1e-4, atol=1e-5)

    def test_each_modality_is_encoded_once(self):
        network, x = tiny_network(), random_images(2)
        calls = []
        for encoder in network.encoders:
            encoder.register_forward_hook(lambda *_: calls.append(1))
        network(x, torch.stack([masks(subset, subset) for subset in all_subsets(4)]), full=True)
        assert len(calls) == 4
