"""The network: what it computes for which subset, from which plans, and which parameters learn from it."""

from __future__ import annotations

import pytest
import torch
from dynamic_network_architectures.building_blocks.simple_conv_blocks import ConvDropoutNormReLU
from helpers.tiny_network import everything, masks, random_images, tiny_configuration, tiny_network
from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.modalities import all_subsets
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.network.image_decoder import SubsetOutput

ALL = (0, 1, 2, 3)


def count_calls(modules) -> list[int]:
    """Running numbers of forward passes of each module."""
    calls = [0] * len(modules)

    def count(number: int):
        def hook(*_):
            calls[number] += 1

        return hook

    for number, module in enumerate(modules):
        module.register_forward_hook(count(number))
    return calls


CONFIGURATIONS = {
    "3d": ({}, 3, (8, 8, 8)),
    "2d": ({"strides": [[1, 1], [2, 2], [2, 2]]}, 2, (16, 8)),
    "one modality": ({}, 1, (8, 8, 8)),
    "five modalities": ({}, 5, (8, 8, 8)),
    "anisotropic": (
        {"strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "kernels": [[1, 3, 3], [1, 3, 3], [3, 3, 3]]},
        2,
        (6, 16, 8),
    ),
    "two levels": ({"features": (8, 12)}, 2, (4, 6, 8)),
    "five levels": (
        {"features": (4, 8, 8, 8, 12), "strides": [[1] * 3, [2] * 3, [2] * 3, [1, 2, 2], [1, 2, 2]]},
        2,
        (8, 16, 16),
    ),
    "residual": ({"residual": True}, 2, (8, 8, 8)),
    "residual 2d": ({"residual": True, "strides": [[1, 1], [2, 1], [2, 2], [2, 2]], "features": (8,) * 4}, 3, (32, 8)),
    "residual anisotropic": (
        {"residual": True, "strides": [[1, 1, 1], [1, 2, 2]], "kernels": [[1, 3, 3], [3, 3, 3]], "features": (8, 16)},
        3,
        (5, 8, 12),
    ),
    "widths": ({"encoder_width": 1.0, "latent_width": 0.5, "image_decoder_width": 0.5}, 2, (8, 8, 8)),
    "encoders as planned": ({"finest_convolutions": "plan"}, 2, (8, 8, 8)),
    "residual encoders as planned": ({"residual": True, "finest_convolutions": "plan"}, 2, (8, 8, 8)),
    "no image decoders": ({"image_decoders": False}, 2, (8, 8, 8)),
}


class TestShapes:
    @pytest.mark.parametrize("deep_supervision", [True, False])
    @pytest.mark.parametrize(("configuration", "modalities", "shape"), CONFIGURATIONS.values(), ids=CONFIGURATIONS)
    def test_those_of_nnunets_own_network(self, configuration, modalities, shape, deep_supervision):
        manager = tiny_configuration(**configuration)
        own = get_network_from_plans(
            manager.network_arch_class_name,
            manager.network_arch_init_kwargs,
            manager.network_arch_init_kwargs_req_import,
            modalities,
            3,
            deep_supervision=deep_supervision,
        )
        network = HeteroModalVAE.from_plans(manager, modalities, 3, deep_supervision)
        x = random_images(2, modalities, shape)
        # The first sample lacks a modality where it can: both ways through the fusion.
        x[0, 1:2] = 0
        expected, output = own(x), network(x, full=True)
        if deep_supervision:
            assert [part.shape for part in output.segmentation] == [part.shape for part in expected]
        else:
            assert output.segmentation.shape == expected.shape
        if configuration.get("image_decoders", True):
            assert output.completion.shape == x.shape
        else:
            assert output.completion is None
        assert len(output.posterior) == len(manager.network_arch_init_kwargs["features_per_stage"])

    def test_deep_supervision_is_switched_as_nnunet_does(self):
        network, x = tiny_network(deep_supervision=True), random_images()
        network.decoder.deep_supervision = False
        assert network(x).shape == (2, 3, 8, 8, 8)

    def test_completion_of_chosen_modalities(self):
        network, x = tiny_network(), random_images()
        latents = [level.mean for level in network(x, full=True).posterior]
        available = masks(ALL, (1, 2))
        every, chosen = network.complete(latents, available), network.complete(latents, available, [3, 1])
        assert len(every.flatten(2).unique(dim=1)[0]) == 4
        torch.testing.assert_close(chosen, every[:, [3, 1]])

    @pytest.mark.parametrize("finest_norm", [True, False])
    def test_memory_estimate_counts_the_outputs_of_convolutions(self, finest_norm):
        """nnU-Net's measure, here of encoders, decoders, and the latents; half of a convolution without norm."""
        network, x = tiny_network(deep_supervision=True, finest_norm=finest_norm), random_images(1)
        blocks = [block for block in network.modules() if isinstance(block, ConvDropoutNormReLU)]
        halves = {block.conv for block in blocks if not hasattr(block, "norm")}
        assert bool(halves) == (not finest_norm)
        elements = []

        def count(module, args, output):
            elements.append(output[:1].numel() / (2 if module in halves else 1))

        for name, module in network.named_modules():
            if isinstance(module, (torch.nn.Conv3d, torch.nn.ConvTranspose3d, SubsetOutput)) and "heads" not in name:
                module.register_forward_hook(count)
        output = network(x, full=True)
        latents = sum(2 * level.mean.numel() for level in output.posterior)
        assert network.compute_conv_feature_map_size(x.shape[2:]) == sum(elements) + latents


class TestRefuses:
    @pytest.mark.parametrize("channels", [3, 5])
    def test_wrong_number_of_channels(self, channels):
        with pytest.raises(SettingsError, match=rf"input has {channels} channel\(s\), .* built for 4 modalities"):
            tiny_network()(random_images(1, channels))

    def test_other_network_classes(self):
        other = "dynamic_network_architectures.architectures.unet.ResidualUNet"
        with pytest.raises(SettingsError, match=f"'{other}'.*PlainConvUNet or ResidualEncoderUNet"):
            HeteroModalVAE.from_plans(tiny_configuration(network_class=other), 4, 3, True)

    def test_cascades(self):
        configuration = tiny_configuration()
        configuration.configuration["previous_stage"] = "3d_lowres"
        with pytest.raises(SettingsError, match="does not support cascades"):
            HeteroModalVAE.from_plans(configuration, 4, 3, True)

    def test_completion_without_image_decoders(self):
        network = tiny_network(image_decoders=False)
        posterior = network(random_images(), full=True).posterior
        with pytest.raises(SettingsError, match="no image decoders"):
            network.complete([level.mean for level in posterior], masks(ALL, ALL))


class TestAvailability:
    def test_read_off_the_zero_channels(self):
        network, x = tiny_network(), random_images(3)
        available = masks((0, 3), ALL, (2,))
        masked = x * available[..., None, None, None]
        assert torch.equal(network.availability(masked), available)
        assert torch.equal(network(masked), network(x, available))

    def test_one_voxel_makes_a_modality_present(self):
        x = torch.zeros(1, 4, 8, 8, 8)
        x[0, 2, 1, 3, 5] = -0.5
        assert tiny_network().availability(x).tolist() == [[False, False, True, False]]

    @pytest.mark.parametrize("content", [0.0, 1e4, float("nan")])
    def test_content_of_absent_channels_does_not_matter(self, content):
        network, x, available = tiny_network(), random_images(), masks((0, 3), (1,))
        changed = torch.where(available[..., None, None, None], x, content)
        for one, other in zip(
            everything(network(x, available, full=True)),
            everything(network(changed, available, full=True)),
            strict=True,
        ):
            assert torch.equal(one, other)

    def test_every_subset_has_its_own_answer(self):
        network, x = tiny_network(), random_images(1)
        answers = torch.stack([network(x, masks(subset)) for subset in ((), *all_subsets(4))])
        assert torch.pdist(answers.flatten(1)).min() > 1e-3

    @pytest.mark.parametrize("residual", [False, True])
    def test_a_batch_of_subsets_equals_each_alone(self, residual):
        network, x = tiny_network(residual=residual, deep_supervision=True), random_images(5)
        available = masks((0,), (), ALL, (1, 3), (0, 2))
        together = everything(network(x, available, full=True))
        for row in range(len(x)):
            alone = everything(network(x[row : row + 1], available[row : row + 1], full=True))
            for one, other in zip(together, alone, strict=True):
                torch.testing.assert_close(one[row : row + 1], other, rtol=1e-4, atol=1e-5)

    def test_nothing_available_is_the_prior(self):
        network = tiny_network()
        calls = count_calls(network.encoders)
        output = network(torch.zeros(1, 4, 8, 8, 8), full=True)
        assert calls == [0, 0, 0, 0]
        assert not any(part.any() for level in output.posterior for part in level)
        assert torch.isfinite(output.segmentation).all()


class TestRandomness:
    def test_evaluation_is_deterministic(self):
        network, x = tiny_network(), random_images()
        assert torch.equal(network(x), network(x))

    def test_training_samples(self):
        network, x = tiny_network().train(), random_images()
        assert not torch.allclose(network(x), network(x))

    def test_same_seed_same_sample(self):
        network, x = tiny_network().train(), random_images()
        torch.manual_seed(1)
        first = network(x)
        torch.manual_seed(1)
        assert torch.equal(network(x), first)

    def test_same_seed_same_weights(self):
        first, second, other = (tiny_network(seed=seed).state_dict() for seed in (0, 0, 1))
        assert all(torch.equal(first[key], second[key]) for key in first)
        assert not all(torch.equal(first[key], other[key]) for key in first)


class TestStart:
    @pytest.mark.parametrize("modalities", [1, 2, 4])
    def test_each_channel_of_a_latent_has_one_modality_that_speaks_for_it(self, modalities):
        """Before the first step σ² is the settings', whatever the image: noise must not drown the signal."""
        settings = {"initial_log_variance": -2.0, "initial_log_variance_elsewhere": -0.5, "latent_width": 1.0}
        network = HeteroModalVAE.from_plans(tiny_configuration(**settings), modalities, 3, False)
        for channel, encoder in enumerate(network.encoders):
            for level, features in enumerate(encoder(random_images(2, 1))):
                mean, log_variance = encoder.heads[level](features).chunk(2, dim=1)
                own = torch.arange(network.channels[level]) % modalities == channel
                assert (log_variance[:, own] == -2.0).all()
                assert (log_variance[:, ~own] == -0.5).all()
                assert mean.std() > 0


class TestComputesOnlyWhatIsNeeded:
    @pytest.mark.parametrize("subsets", [[(0,)], [(1, 3), (3,)], [(), ()], [ALL, (0,)]])
    def test_no_encoder_of_an_absent_modality(self, subsets):
        network = tiny_network()
        calls = count_calls(network.encoders)
        network(random_images(len(subsets)), masks(*subsets))
        assert calls == [int(any(channel in subset for subset in subsets)) for channel in ALL]

    def test_an_encoder_sees_only_the_samples_that_have_its_modality(self):
        network = tiny_network()
        seen = []
        network.encoders[1].register_forward_pre_hook(lambda module, args: seen.append(args[0]))
        x = random_images(3)
        network(x, masks((0, 1), (2,), (1,)))
        assert torch.equal(seen[0], x[[0, 2], 1:2])

    @pytest.mark.parametrize(("full", "expected"), [(False, 0), (True, 1)])
    def test_no_image_decoder_unless_asked(self, full, expected):
        network = tiny_network()
        calls = count_calls([network.image_decoder])
        network(random_images(), full=full)
        assert calls == [expected]


class TestNumerics:
    def test_float32_posterior_under_autocast(self):
        network, x = tiny_network(deep_supervision=True), random_images()
        available = masks((0, 1, 3), (2,))
        exact = network(x, available, full=True)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = network(x, available, full=True)
        assert output.segmentation[0].dtype == torch.bfloat16
        for level, wanted in zip(output.posterior, exact.posterior, strict=True):
            assert level.mean.dtype == level.log_variance.dtype == torch.float32
            torch.testing.assert_close(level.mean, wanted.mean, rtol=0.1, atol=0.1)

    @pytest.mark.parametrize("bias", [1e6, -1e6])
    def test_log_variance_is_clamped(self, bias):
        network = tiny_network(deep_supervision=True, max_abs_log_variance=8.0)
        for encoder in network.encoders:
            for head in encoder.heads:
                torch.nn.init.constant_(head.bias[head.out_channels // 2 :], bias)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = network.train()(random_images(), masks(ALL, (1,)), full=True)
        sum(part.float().square().mean() for part in everything(output)).backward()
        precision = 1 + torch.exp(torch.tensor(-8.0 if bias > 0 else 8.0))
        for level in output.posterior:
            torch.testing.assert_close(level.log_variance[1], -precision.log().expand_as(level.log_variance[1]))
        assert all(torch.isfinite(part).all() for part in everything(output))
        assert all(torch.isfinite(p.grad).all() for p in network.parameters())
