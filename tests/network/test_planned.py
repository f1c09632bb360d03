"""What the plan becomes: at the finest level of encoders and image decoder fewer convolutions and no norm."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import random_images, tiny_configuration, tiny_network

from nnunet_hetero.network.hetero_modal import HeteroModalVAE


@pytest.mark.parametrize("residual", [False, True])
@pytest.mark.parametrize(("setting", "expected"), [(1, 1), (2, 2), (9, 2), ("plan", 2)])
def test_convolutions_of_the_finest_level(residual, setting, expected):
    """Their number is the setting's where the plan, with 2, has more; all other levels are the plan's."""
    configuration = tiny_configuration(residual=residual, finest_convolutions=setting)
    configuration.network_arch_init_kwargs["n_blocks_per_stage" if residual else "n_conv_per_stage"] = [2, 2, 2]
    for encoder in HeteroModalVAE.from_plans(configuration, 2, 3, False).encoders:
        stages = encoder.backbone.stages
        blocks = [stage.blocks if residual else stage[-1].convs for stage in stages]
        assert [len(block) for block in blocks] == [expected, 2, 2]


def norms(part: torch.nn.Module) -> int:
    """Number of instance norms."""
    return sum(isinstance(layer, torch.nn.InstanceNorm3d) for layer in part.modules())


class TestFinestNorm:
    @pytest.mark.parametrize("residual", [False, True])
    def test_only_encoders_and_image_decoder_lose_it(self, residual):
        with_norm, without = (tiny_network(residual=residual, finest_norm=setting) for setting in (True, False))
        assert norms(with_norm.decoder) == norms(without.decoder)
        assert norms(without.image_decoder.stages[-1]) == 0 < norms(with_norm.image_decoder.stages[-1])
        for ours, other in zip(without.image_decoder.stages[:-1], with_norm.image_decoder.stages[:-1], strict=True):
            assert norms(ours) == norms(other) > 0
        for ours, other in zip(without.encoders, with_norm.encoders, strict=True):
            finest = 2 * residual + 1  # a stem and a block of two convolutions
            assert norms(ours) == norms(other) - finest
            assert norms(ours.backbone.stages[0]) == 0

    @pytest.mark.parametrize("setting", [True, False])
    def test_background_does_not_scale_the_finest_level(self, setting):
        network = tiny_network(finest_norm=setting)
        x = random_images(1)
        padded = torch.nn.functional.pad(x, (4, 4, 0, 0, 8, 0))
        with torch.no_grad():
            inside = network(padded, full=True).posterior[0].mean[:, :, 8:, :, 4:-4]
            alone = network(x, full=True).posterior[0].mean
        assert torch.allclose(inside, alone, rtol=1e-4, atol=1e-5) == (not setting)

    def test_residual_blocks_start_as_the_identity(self):
        (block,) = tiny_network(residual=True).encoders[0].backbone.stages[0].blocks
        x = random_images(2, block.conv1.input_channels).abs()
        torch.testing.assert_close(block(x), x)
