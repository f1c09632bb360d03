"""What training does to the network: which parameters learn, what is kept for the backward pass, compilation."""

from __future__ import annotations

import pytest
import torch
from helpers.tiny_network import everything, masks, random_images, tiny_configuration, tiny_network, train_on

from nnunet_hetero.modalities import all_subsets
from nnunet_hetero.network.fusing.fusible import restore_fusible
from nnunet_hetero.network.fusion import Expert, Product
from nnunet_hetero.network.hetero_modal import HeteroModalVAE

ALL = (0, 1, 2, 3)


class TestGradients:
    @pytest.mark.parametrize("residual", [False, True])
    def test_reach_every_parameter(self, residual):
        network = tiny_network(deep_supervision=True, residual=residual)
        for name, parameter in network.named_parameters():
            # Residual blocks start as the identity, which lets no gradient into their first convolution yet.
            if name.endswith("conv2.norm.weight"):
                torch.nn.init.ones_(parameter)
            elif name.endswith("stages.0.blocks.0.conv2.conv.weight"):  # without norm
                torch.nn.init.normal_(parameter)
        train_on(network, random_images(), masks(ALL, ALL))
        assert not [name for name, p in network.named_parameters() if p.grad is None]
        # The bias of a convolution before an instance norm has no influence; all other parameters have.
        idle = [name for name, p in network.named_parameters() if not p.grad.any()]
        assert not [name for name in idle if not name.endswith("conv.bias")]

    def test_of_the_images_is_whole_in_their_decoder_and_weighted_in_the_encoders(self):
        gradients = {}
        for weight in (0.0, 0.1, 0.2):
            network = HeteroModalVAE.from_plans(tiny_configuration(reconstruction_weight=weight), 4, 3, False).train()
            network.load_state_dict(tiny_network(seed=0).state_dict())
            torch.manual_seed(0)
            network(random_images(), masks(ALL, ALL), full=True).completion.square().mean().backward()
            gradients[weight] = {name: p.grad for name, p in network.named_parameters() if p.grad is not None}
        for name, gradient in gradients[0.1].items():
            if name.startswith("image_decoder"):
                torch.testing.assert_close(gradients[0.2][name], gradient)
                torch.testing.assert_close(gradients[0.0][name], gradient)
            else:
                torch.testing.assert_close(gradients[0.2][name], 2 * gradient)
                assert not gradients[0.0][name].any()
        assert any(name.startswith("encoders") for name in gradients[0.1])

    @pytest.mark.parametrize("subsets", [[(0,)], [(1, 3), (3,)], [(), (2,)]])
    def test_do_not_reach_absent_encoders(self, subsets):
        network = tiny_network()
        train_on(network, random_images(len(subsets)), masks(*subsets))
        drawn = {channel for subset in subsets for channel in subset}
        for channel, encoder in enumerate(network.encoders):
            assert all((p.grad is not None) == (channel in drawn) for p in encoder.parameters())

    def test_touched_encoders_have_zero_gradient(self):
        plain, touched = tiny_network(deep_supervision=True), tiny_network(deep_supervision=True)
        touched.touch_absent_encoders = True
        x, available = random_images(), masks((1,), (1, 3))
        train_on(plain, x, available)
        train_on(touched, x, available)
        for (name, p), q in zip(plain.named_parameters(), touched.parameters(), strict=True):
            expected = torch.zeros_like(p) if p.grad is None else p.grad
            assert q.grad is not None, name
            assert torch.equal(q.grad, expected), name
        assert not any(p.grad.any() for p in touched.encoders[0].parameters())


class TestSingleModality:
    """Beside the segmentation from all that a sample is encoded from, that from one modality, at coarse levels."""

    @pytest.mark.parametrize("is_product", [True, False])
    def test_is_the_segmentation_from_that_modality(self, is_product, monkeypatch):
        if not is_product:  # as any other fusion is asked
            monkeypatch.setattr(HeteroModalVAE, "_are_products", lambda *_: False)
        network = tiny_network(deep_supervision=True, features=(8, 8, 16, 16), strides=[[1] * 3] + 3 * [[2] * 3])
        x = random_images(batch=3)
        output = network(x, masks((0, 1, 3), (2, 3), (0, 3)), full=True, single=masks((1,), (), (3,)))
        plain = network(x, masks((0, 1, 3), (2, 3), (0, 3)), full=True)
        assert plain.single is None
        assert all(torch.equal(*pair) for pair in zip(everything(output), everything(plain), strict=True))
        assert output.single.samples.numbers == (0, 2)
        expected = [level[[0, 2]] for level in network(x, masks((1,), (2,), (3,)))[1:]]
        assert len(output.single.segmentation) == len(expected) == 2
        for found, wanted in zip(output.single.segmentation, expected, strict=True):
            torch.testing.assert_close(found, wanted)

    def test_two_levels_have_their_finest(self):
        network = tiny_network(deep_supervision=True, features=(8, 16))
        output = network(random_images(), masks((0, 1), (0,)), full=True, single=masks((1,), (0,)))
        (found,) = output.single.segmentation
        torch.testing.assert_close(found, network(random_images(), masks((1,), (0,)))[0])

    def test_of_no_sample(self):
        output = tiny_network(deep_supervision=True)(
            random_images(), masks((0, 1), (0,)), full=True, single=masks((), ())
        )
        assert output.single is None

    def test_its_gradient_reaches_that_encoder_alone(self):
        network = tiny_network(deep_supervision=True).train()
        output = network(random_images(), masks((0, 1, 3), (1, 3)), full=True, single=masks((), (3,)))
        output.single.segmentation[0].square().mean().backward()
        learns = [
            any(p.grad is not None and p.grad.any() for p in encoder.parameters()) for encoder in network.encoders
        ]
        assert learns == [False, False, False, True]
        assert network.decoder.stages[0].convs[0].conv.weight.grad.any()

    def test_encodes_once(self):
        network, calls = tiny_network(deep_supervision=True), []
        for encoder in network.encoders:
            encoder.register_forward_hook(lambda *_: calls.append(1))
        network(random_images(), masks((0, 1), (0,)), full=True, single=masks((1,), (0,)))
        assert len(calls) == 2


class TestRecomputation:
    def test_same_gradients_with_less_kept(self, monkeypatch):
        """Training computes heads and fusion a second time instead of keeping what they made.

        It is most of what is kept where latents are wide.
        """
        x, available = random_images(), masks((0, 1, 3), (2,))
        networks, kept = [], []
        for recompute in (True, False):
            if not recompute:
                monkeypatch.setattr(
                    Product,
                    "multiply_head",
                    lambda product, samples, features, head: product.multiply(Expert(head(features), samples)),
                )
            network, elements = tiny_network(deep_supervision=True, latent_width=1.0), {}

            def keep(tensor, elements=elements):
                elements[tensor.data_ptr()] = tensor.numel()
                return tensor

            with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
                torch.manual_seed(0)
                output = network.train()(x, available, full=True)
            sum(part.square().mean() for part in everything(output)).backward()
            networks.append(network)
            kept.append(sum(elements.values()))
        for (name, p), q in zip(networks[0].named_parameters(), networks[1].parameters(), strict=True):
            torch.testing.assert_close(p.grad, q.grad, msg=name)
        assert kept[0] < 0.9 * kept[1]


@pytest.fixture
def as_written():
    """What was compiled in a test is not, in the next."""
    yield
    restore_fusible()
    torch._dynamo.reset()


class TestCompile:
    def test_few_graphs_for_all_subsets(self, as_written):
        """Same answers, and the number of compilations does not grow with the number of subsets seen."""
        graphs = []

        def backend(graph, inputs):
            graphs.append(graph)
            return graph.forward

        network, x = tiny_network(deep_supervision=True, features=(8, 8)), random_images(3)
        batches = [masks(subset, (1, 2), ALL) for subset in all_subsets(4)]
        with torch.no_grad():
            expected = [everything(network(x, available, full=True)) for available in batches]
        torch._dynamo.reset()
        network.compile_parts(backend=backend)
        with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
            with torch.no_grad():
                for available, wanted in zip(batches, expected, strict=True):
                    for one, other in zip(everything(network(x, available, full=True)), wanted, strict=True):
                        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
            assert 2 <= len(graphs) <= 16
            train_on(network, x, batches[0])
            train_on(network, x[:1], masks((0,)))
            seen = len(graphs)
            for subset in all_subsets(4):
                train_on(network, x, masks(subset, subset, (3,)))
                train_on(network, x[:1], masks(subset))
        assert len(graphs) <= seen + 12
        assert all(torch.isfinite(p.grad).all() for p in network.encoders.parameters())

    def test_any_number_of_rows_in_two_dimensions(self, as_written):
        """A 2D batch has up to fifty samples, and each modality as many rows as have it."""
        graphs = []

        def backend(graph, inputs):
            graphs.append(graph)
            return graph.forward

        size = 50
        network = tiny_network(deep_supervision=True, features=(4, 4), strides=[[1, 1], [2, 2]])
        x, seen = random_images(size, shape=(4, 4)), 0
        torch._dynamo.reset()
        network.compile_parts(backend=backend)
        with torch._dynamo.config.patch(fail_on_recompile_limit_hit=True):
            for rows in (50, 1, 2, *range(3, size)):
                available = torch.zeros(size, 4, dtype=torch.bool)
                available[:rows, 0] = available[size - rows :, 1] = available[:, 2] = available[::rows, 3] = True
                train_on(network, x, available)
                seen = len(graphs) if rows <= 5 else seen
        assert len(graphs) == seen, "later numbers of rows compile nothing"


class TestSeveralSubsetsAtOnce:
    def test_as_one_after_the_other(self):
        network, x = tiny_network(deep_supervision=True), random_images(3)
        subsets = torch.stack([masks((0, 1, 2, 3), (0, 1), (3,)), masks((0,), (0,), (3,)), masks((2, 3), (1,), (3,))])
        found = network(x, subsets, full=True)
        for output, available in zip(found, subsets, strict=True):
            alone = network(x, available, full=True)
            for one, other in zip(output.segmentation, alone.segmentation, strict=True):
                torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(output.completion, alone.completion, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(output.kl, alone.kl)
            for one, other in zip(output.posterior, alone.posterior, strict=True):
                torch.testing.assert_close(one.mean, other.mean, rtol=1e-4, atol=1e-5)

    def test_each_modality_is_encoded_once(self):
        network, x = tiny_network(), random_images(2)
        calls = []
        for encoder in network.encoders:
            encoder.register_forward_hook(lambda *_: calls.append(1))
        network(x, torch.stack([masks(subset, subset) for subset in all_subsets(4)]), full=True)
        assert len(calls) == 4
