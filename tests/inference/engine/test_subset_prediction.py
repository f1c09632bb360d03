"""Several subsets of one case in one go: the same as each alone, with every tile encoded once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.preprocessed import PROPERTIES, SHAPE, images

from nnunet_hetero.inference.engine import sliding_window
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.engine.subset_prediction import Target, predict_subsets
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.modalities import all_subsets
from nnunet_hetero.network.hetero_network import HeteroNetwork


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


class OneByOne(HeteroNetwork):
    """A network whose images are not encoded apart."""

    def __init__(self):
        super().__init__(4)
        self.encoders = torch.nn.ModuleList(AsItIs() for _ in range(4))
        self.decoder = torch.nn.Identity()
        self.seen = []

    @classmethod
    def from_plans(cls, configuration_manager, num_modalities, num_outputs, deep_supervision):
        return cls()

    def encode(self, x, available):
        self.seen.append(len(x))
        return super().encode(x, available)


class AsItIs(torch.nn.Module):
    def forward(self, x):
        return [x]


class ChannelsOfZeros(OneByOne):
    """A U-Net's first layer, in the place of one: mixes all modalities, and knows which it was given."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Conv3d(4, 3, 3, padding=1)

    def fuse(self, encoded, batch_size, spatial):
        encoded = list(encoded)
        images = torch.zeros(batch_size, 4, *spatial)
        for channel, features, samples in encoded:
            images[samples.index, channel] = features[0][:, 0]
        return [images, torch.full((batch_size, 1), float(len(encoded)))]

    def decode(self, levels):
        images, number = levels
        return self.layer(images) + number.view(-1, 1, 1, 1, 1)


class Moments(OneByOne):
    """A network with encoders whose fusion is no distribution: the mean of the present modalities."""

    def __init__(self):
        super().__init__()
        self.decoder = torch.nn.Conv3d(1, 3, 3, padding=1)

    def fuse(self, encoded, batch_size, spatial):
        return [torch.stack([part.features[0] for part in encoded]).mean(0)]

    def decode(self, levels):
        return self.decoder(levels[0])


@pytest.fixture
def predictor(tiny_model):
    """Function that makes a predictor, on demand with another network of random weights in its place."""

    def make(folds=(0,), mirroring=False, network=None) -> HeteroModalPredictor:
        predictor = HeteroModalPredictor(use_mirroring=mirroring, allow_tqdm=False, device=torch.device("cpu"))
        predictor.initialize_from_trained_model_folder(str(tiny_model.folder), folds)
        if network is not None:
            predictor.network, predictor.list_of_parameters = network, [network.state_dict()]
        return predictor

    return make


def alone(predictor, data, subset, num_samples):
    """The subset's prediction by itself."""
    one = torch.zeros_like(data)
    one[list(subset)] = data[list(subset)]
    predictor.options = options(num_samples)
    return predictor.predict_case(one, PROPERTIES, "a")


def options(num_samples, **sampling):
    return PredictionOptions(sampling=SamplingOptions(num_samples, seed=3, **sampling))


def together(predictor, data, subsets, num_samples, completed=()):
    targets = [Target(subset, completed) for subset in subsets]
    return list(predict_subsets(predictor.model, data, "a", targets, SamplingOptions(num_samples, seed=3)))


class TestSameAsAlone:
    @pytest.mark.parametrize(
        ("folds", "mirroring", "num_samples"), [((0,), False, 0), ((0, 1), True, 0), ((0, 1), False, 3)]
    )
    def test_logits(self, predictor, folds, mirroring, num_samples):
        """Views add up in another order; in these images no voxel has a probability of 0.5 to the last bit."""
        model = predictor(folds, mirroring)
        data, subsets = images(absent=(), seed=1), all_subsets(4)
        found = together(model, data, subsets, num_samples)
        assert [one.used for one in found] == subsets
        for subset, one in zip(subsets, found, strict=True):
            expected = alone(model, data, subset, num_samples)
            np.testing.assert_allclose(one.logits, expected.logits, atol=1e-4)
            label_maps = [model.label_manager.convert_logits_to_segmentation(x.logits) for x in (one, expected)]
            assert (label_maps[0] == label_maps[1]).all()
            assert one.draws == expected.draws

    def test_completed_images(self, predictor):
        model, data = predictor((0, 1)), images(absent=())
        targets = [Target((0,), (1, 3)), Target((0, 1, 2, 3)), Target((1, 3), (0,))]
        found = list(predict_subsets(model.model, data, "a", targets, SamplingOptions(2, seed=3)))
        assert [one.completed for one in found] == [(1, 3), (), (0,)]
        assert found[1].completion is None
        for target, one in zip(targets, found, strict=True):
            if target.completed:
                only = torch.zeros_like(data)
                only[list(target.subset)] = data[list(target.subset)]
                model.options = options(2, save_completed="missing")
                expected = model.predict_case(only, PROPERTIES, "a")
                chosen = [expected.completed.index(channel) for channel in target.completed]
                np.testing.assert_allclose(one.completion, expected.completion[chosen], atol=1e-4)

    def test_one_modality_completed_from_several_subsets_at_once(self, predictor):
        """The image decoder is told the subset of each sample; those of a case of one tile are decoded together."""
        model, data = predictor(), images(absent=())[:, :16, :16, :16].contiguous()
        subsets = [(0,), (0, 1, 2), (1, 2), (2,)]
        found = list(
            predict_subsets(
                model.model, data, "a", [Target(subset, (3,)) for subset in subsets], SamplingOptions(0, seed=3)
            )
        )
        model.options = options(0, save_completed="missing")
        for subset, one in zip(subsets, found, strict=True):
            only = torch.zeros_like(data)
            only[list(subset)] = data[list(subset)]
            expected = model.predict_case(only, PROPERTIES, "a")
            np.testing.assert_allclose(one.completion[0], expected.completion[expected.completed.index(3)], atol=1e-4)

    def test_tiles_are_encoded_once(self, predictor, monkeypatch):
        model, data = predictor(mirroring=True), images(absent=())
        encoded = []
        encode = model.network.encode
        monkeypatch.setattr(model.network, "encode", lambda x, a: encoded.append(len(x)) or encode(x, a))
        shares = []
        targets = [Target(subset) for subset in all_subsets(4)]
        for _ in predict_subsets(model.model, data, "a", targets, SamplingOptions(0), shares.append):
            pass
        tiles = len(model._internal_get_sliding_window_slicers(SHAPE))
        assert sum(encoded) == 8 * tiles
        assert sum(shares) == pytest.approx(1)

    def test_little_memory_costs_passes_not_the_result(self, predictor, monkeypatch):
        model, data, subsets = predictor((0, 1)), images(absent=()), all_subsets(4)
        expected = together(model, data, subsets, 2, (0,))
        encoded = []
        encode = model.network.encode
        monkeypatch.setattr(model.network, "encode", lambda x, a: encoded.append(len(x)) or encode(x, a))
        monkeypatch.setattr(sliding_window, "ACCUMULATOR_BYTES", 6 * 4 * 4 * np.prod(SHAPE))
        found = together(model, data, subsets, 2, (0,))
        tiles = len(model._internal_get_sliding_window_slicers(SHAPE))
        assert sum(encoded) == 3 * 2 * tiles  # 6 subsets of 15 at a time, 2 folds
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one.logits, other.logits, atol=1e-4)
            np.testing.assert_allclose(one.completion, other.completion, atol=1e-4)

    def test_small_case_is_padded_and_cropped(self, predictor):
        data = images(absent=())[:, :10, :16, :9]
        (found,) = together(predictor(), data, [(0, 2)], 0, (1,))
        assert found.logits.shape == (3, 10, 16, 9) and found.completion.shape == (1, 10, 16, 9)


class TestOtherNetworks:
    @pytest.mark.parametrize("network", [ChannelsOfZeros, Moments])
    def test_same_as_alone(self, predictor, network):
        model, data = predictor(network=network()), images(absent=())
        for subset, one in zip(all_subsets(4), together(model, data, all_subsets(4), 0), strict=True):
            expected = alone(model, data, subset, 0)
            np.testing.assert_allclose(one.logits, expected.logits, atol=1e-4)

    def test_encoders_without_a_distribution_run_once_for_all_subsets(self, predictor):
        network = Moments()
        model = predictor(network=network)
        together(model, images(absent=()), all_subsets(4), 0)
        assert sum(network.seen) == len(model._internal_get_sliding_window_slicers(SHAPE))

    @pytest.mark.parametrize("network", [ChannelsOfZeros, Moments])
    def test_they_have_no_draws(self, predictor, network):
        model = predictor(network=network())
        model.options = options(5)
        assert not model.network.stochastic and model.sampling.num_samples == 0
        found = model.predict_case(images(absent=()), PROPERTIES, "a")
        assert (found.draws, found.volumes) == (0, None)
