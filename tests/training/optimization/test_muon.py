"""Muon: what it orthogonalises, how long its steps are, and what is left to AdamW."""

from __future__ import annotations

import copy

import pytest
import torch
from helpers.tiny_network import masks, random_images, tiny_configuration, tiny_network, train_on
from torch import nn

from nnunet_hetero.network.early_fusion import EarlyFusionUNet
from nnunet_hetero.training.optimization.muon import ROOT_MEAN_SQUARE, Muon, hidden_weights, inverse_roots


def random_matrices(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def orthogonalised(matrices: torch.Tensor) -> torch.Tensor:
    """A batch of matrices as a step of Muon takes them."""
    rows, columns = matrices.shape[1:]
    roots = torch.stack(inverse_roots(list(matrices)))
    return roots @ matrices if rows <= columns else matrices @ roots


class TestOrthogonalised:
    @pytest.mark.parametrize("shape", [(3, 16, 16), (2, 8, 216), (2, 64, 5), (1, 4, 4)])
    def test_singular_values_are_near_one_and_vectors_stay(self, shape):
        matrices = random_matrices(*shape)
        left, values, right = torch.linalg.svd(matrices, full_matrices=False)
        assert values.max() > 2  # else nothing would be shown
        found = left.mT @ orthogonalised(matrices) @ right.mT
        on_diagonal = found.diagonal(dim1=1, dim2=2)
        torch.testing.assert_close(found, torch.diag_embed(on_diagonal))
        known = values > 0.1 * values.max()
        assert ((on_diagonal > 0.6) & (on_diagonal < 1.25))[known].all()

    def test_neither_scale_nor_neighbours_matter(self):
        matrices = random_matrices(2, 8, 27)
        scaled = matrices * torch.tensor([1e-4, 1e4], dtype=torch.float64).view(2, 1, 1)
        torch.testing.assert_close(orthogonalised(scaled), orthogonalised(matrices))
        torch.testing.assert_close(orthogonalised(matrices)[:1], orthogonalised(matrices[:1]))

    def test_single_precision_is_enough(self):
        # Singular values over four orders of magnitude: their squares span eight, more than float32 has.
        matrices = random_matrices(1, 32, 432) * torch.logspace(0, -4, 32, dtype=torch.float64).view(1, -1, 1)
        torch.testing.assert_close(
            orthogonalised(matrices.float()).double(), orthogonalised(matrices), atol=1e-2, rtol=0
        )

    def test_what_rounding_makes_negative_does_not_grow(self):
        # Directions that float32 cannot tell from none, in a wide layer where rounding adds up.
        matrices = random_matrices(1, 64, 8640).float()
        matrices[:, 32:] = matrices[:, :32] + 1e-6 * matrices[:, 32:]
        assert torch.linalg.matrix_norm(orthogonalised(matrices), 2).item() < 1.3

    def test_shapes_may_differ(self):
        matrices = [random_matrices(1, *shape)[0] for shape in ((8, 27), (27, 8), (8, 8), (4, 8))]
        for matrix, root in zip(matrices, inverse_roots(matrices), strict=True):
            torch.testing.assert_close(root, inverse_roots([matrix])[0])

    def test_zeros_stay_zeros(self):
        assert not orthogonalised(torch.zeros(1, 4, 8)).any()


class TestHiddenWeights:
    def test_of_ours_are_all_but_the_first_and_last_layers(self):
        network = tiny_network(deep_supervision=True)
        hidden = hidden_weights(network)
        others = [name for name, weight in network.named_parameters() if not any(weight is entry for entry in hidden)]
        matrices = {name for name in others if network.get_parameter(name).ndim > 1}
        first = {f"encoders.{number}.backbone.stages.0.0.convs.0.conv.weight" for number in range(4)}
        last = {"decoder.seg_layers.0.weight", "decoder.seg_layers.1.weight"}
        assert matrices == first | last | {"image_decoder.output.weight", "image_decoder.output.bias"}
        assert all(weight.ndim == 5 for weight in hidden)

    def test_of_a_network_of_all_channels_have_its_first_layer(self):
        network = EarlyFusionUNet.from_plans(tiny_configuration(), 4, 3, True)
        assert any(weight.shape[1] == 4 for weight in hidden_weights(network))


def layer_and_norm() -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(4, 8, 3), nn.InstanceNorm3d(8, affine=True))
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    return network


class TestStep:
    def test_is_as_long_as_one_of_adamw(self):
        network = layer_and_norm()
        before = network[0].weight.detach().clone()
        Muon(network, lr=0.01, weight_decay=0).step()
        moved = network[0].weight.detach() - before
        # All singular values about 1: a matrix of 8 rows and 108 columns has a root mean square of 1 / √108.
        assert moved.square().mean().sqrt() == pytest.approx(0.01 * ROOT_MEAN_SQUARE, rel=0.15)
        singular = torch.linalg.svdvals(moved.flatten(1))
        assert singular.max() < 2 * singular.min()
        assert (moved.flatten() @ network[0].weight.grad.flatten()) < 0

    def test_all_else_is_adamws(self):
        network, reference = layer_and_norm(), layer_and_norm()
        ours = Muon(network, lr=0.01, weight_decay=0.1)
        adamw = torch.optim.AdamW(reference.parameters(), lr=0.01, weight_decay=0.1)
        for _ in range(3):
            ours.step()
            adamw.step()
        for (name, found), expected in zip(network.named_parameters(), reference.parameters(), strict=True):
            if name == "0.weight":
                assert not torch.allclose(found, expected)
            else:
                torch.testing.assert_close(found, expected)

    def test_weights_decay_apart_from_the_gradient(self):
        network = layer_and_norm()
        network[0].weight.grad.zero_()
        before = network[0].weight.detach().clone()
        Muon(network, lr=0.1, weight_decay=0.5).step()
        torch.testing.assert_close(network[0].weight.detach(), 0.95 * before)

    def test_layers_of_one_shape_do_not_mix(self):
        alone, pair = layer_and_norm(), nn.ModuleList([layer_and_norm(), layer_and_norm()])
        pair[1][0].weight.grad.mul_(-3).add_(1)
        Muon(alone, lr=0.01, weight_decay=0).step()
        Muon(pair, lr=0.01, weight_decay=0).step()
        torch.testing.assert_close(pair[0][0].weight, alone[0].weight)

    def test_encoders_of_absent_modalities_stand_still(self):
        network = tiny_network()
        before = copy.deepcopy(network.state_dict())
        optimizer = Muon(network, lr=0.01, weight_decay=0.1)
        train_on(network, random_images(), masks((0,), (0, 2)))
        optimizer.step()
        moved = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
        assert {name.split(".")[1] for name in moved if name.startswith("encoders.")} == {"0", "2"}

    def test_goes_on_from_its_state(self):
        def trained(network, optimizer, steps):
            for _ in range(steps):
                optimizer.zero_grad()
                train_on(network, random_images(), masks((0, 1), (1, 2, 3)))
                optimizer.step()

        straight, first = tiny_network(), tiny_network()
        trained(straight, Muon(straight, 0.01, 0), 4)
        optimizer = Muon(first, 0.01, 0)
        trained(first, optimizer, 2)
        second = tiny_network()
        second.load_state_dict(first.state_dict())
        resumed = Muon(second, 0.5, 0)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        trained(second, resumed, 2)
        for found, expected in zip(second.parameters(), straight.parameters(), strict=True):
            assert torch.equal(found, expected)

    def test_a_gradient_that_overflowed_under_mixed_precision_changes_nothing(self):
        network = layer_and_norm()
        optimizer, scaler = Muon(network, lr=0.01, weight_decay=0), torch.amp.GradScaler("cpu", init_scale=1.0)
        scaler.scale(torch.zeros(()))  # a scaler begins with a loss
        before = copy.deepcopy(network.state_dict())
        network[1].weight.grad[0] = torch.inf
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
        for name, value in network.state_dict().items():
            assert torch.equal(value, before[name])
        network[1].weight.grad[0] = 1.0
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        assert not torch.equal(network[0].weight, before["0.weight"])


def test_steps_are_nesterovs():
    """Along (1 - m) g + m (m v + (1 - m) g), with gradients that differ from step to step."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 5, 3))
    momentum, lr = 0.9, 0.1
    optimizer = Muon(network, lr, 0.0, momentum)
    weight = network[1].weight
    expected, mean = weight.detach().clone().flatten(1), torch.zeros(5, 36)
    for step in range(3):
        gradients = torch.randn(5, 4, 3, 3, generator=torch.Generator().manual_seed(step))
        for parameter in network.parameters():
            parameter.grad = torch.zeros_like(parameter)
        weight.grad = gradients.clone()
        optimizer.step()
        gradient = gradients.flatten(1)
        mean = momentum * mean + (1 - momentum) * gradient
        direction = (1 - momentum) * gradient + momentum * mean
        (root,) = inverse_roots([direction])
        expected = expected - lr * ROOT_MEAN_SQUARE * 36**0.5 * (root @ direction)
        torch.testing.assert_close(weight.detach().flatten(1), expected, rtol=1e-4, atol=1e-5)
