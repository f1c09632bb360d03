"""What goes wrong slowly in a long training: measured once per epoch, by hand here."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_configuration, tiny_network
from torch import nn

from nnunet_hetero.network.feature_fusion import UHeMIS
from nnunet_hetero.network.fusing.fusible import restore_fusible
from nnunet_hetero.training.record.history import History
from nnunet_hetero.training.record.soundness import measure_soundness, norm_without_norm, warnings_of, watch

ALL = masks((0, 1, 2, 3), (0, 1, 2, 3))


def drifted(bias: float):
    """A network whose log-variances are all at a value, in training mode."""
    network = tiny_network(max_abs_log_variance=10.0).train()
    for encoder in network.encoders:
        for head in encoder.heads:
            latent = head.out_channels // 2
            nn.init.zeros_(head.weight[latent:])
            nn.init.constant_(head.bias[latent:], bias)
    return network


@pytest.mark.parametrize(("bias", "share"), [(3.0, 0.0), (-9.5, 0.0), (12.0, 1.0), (-800.0, 1.0)])
def test_largest_log_variance_and_the_share_beyond_the_clamp(bias, share):
    found = measure_soundness(drifted(bias), random_images(), ALL)
    assert found["largest_log_variance"] == pytest.approx(abs(bias))
    assert found["clamped_share"] == share
    assert bool([line for line in warnings_of(found) if "clamp" in line]) == bool(share)


def test_a_share_of_the_channels():
    network = drifted(0.0)
    for encoder in network.encoders[:1]:
        for head in encoder.heads:
            nn.init.constant_(head.bias[head.out_channels // 2 :], 11.0)
    assert measure_soundness(network, random_images(), ALL)["clamped_share"] == 0.25


@pytest.mark.parametrize(("factor", "warned"), [(1.0, False), (1e6, True), (float("nan"), True)])
def test_largest_activation(factor, warned):
    network = tiny_network().train()
    found = measure_soundness(network, factor * random_images(), ALL)
    assert any("65504" in line for line in warnings_of(found)) == warned


def test_weights_that_no_norm_follows():
    """The finest level of encoders and image decoder, heads, upsampling and outputs, and no convolution with a norm."""
    network = tiny_network()
    before = norm_without_norm(network)
    with torch.no_grad():
        network.encoders[0].backbone.stages[1][0].convs[0].conv.weight.mul_(100)
    assert norm_without_norm(network) == before
    with torch.no_grad():
        network.encoders[0].backbone.stages[0][0].convs[0].conv.weight.mul_(100)
    assert norm_without_norm(network) > 10 * before


def test_leaves_training_as_it_was():
    """No hooks, no gradients, no random numbers; compiled parts are compiled again."""
    network = tiny_network().train()
    network.compile_parts(backend=lambda graph, inputs: graph.forward)
    compiled = network.decoder._compiled_call_impl
    state = torch.random.get_rng_state()
    hooks = [list(module._forward_hooks) for module in network.modules()]
    measure_soundness(network, random_images(), ALL)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert network.training and network.decoder.training
    assert network.decoder._compiled_call_impl is compiled is not None
    assert [list(module._forward_hooks) for module in network.modules()] == hooks
    assert all(parameter.grad is None for parameter in network.parameters())
    restore_fusible()


def test_of_a_network_without_latents():
    network = UHeMIS.from_plans(tiny_configuration(), 4, 3, False).train()
    assert set(measure_soundness(network, random_images(), ALL)) == {"largest_activation", "weights_without_norm"}


def test_in_history_and_log():
    history, lines = History(), []
    watch(drifted(12.0), (random_images(), ALL), history, 3, lines.append)
    assert history.values["soundness/largest_log_variance"] == {3: pytest.approx(12)}
    assert "clamped share 1" in lines[0] and lines[1].startswith("WARNING: 100% of the latents")
