"""One preprocessed case through a tiny model: averages over tiles, views, draws and folds."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from helpers.preprocessed import PROPERTIES, SHAPE, images
from helpers.tiny_model import tiny_dataset_json, tiny_plans, write_tiny_model
from helpers.tiny_network import masks, tiny_configuration, tiny_network
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.engine import sliding_window
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture(scope="module")
def predictor(tiny_model):
    """Function that gives one predictor per choice of folds, with the options asked for."""
    made = {}

    def get(folds=(0,), mirroring=False, folder=tiny_model.folder, **sampling) -> HeteroModalPredictor:
        key = (folder, folds)
        if key not in made:
            made[key] = HeteroModalPredictor(allow_tqdm=False, device=torch.device("cpu"))
            made[key].initialize_from_trained_model_folder(str(folder), folds)
        made[key].use_mirroring = mirroring
        made[key].options = PredictionOptions(sampling=SamplingOptions(**sampling))
        return made[key]

    return get


def probabilities_by_hand(predictor, data, mirroring: bool, decode) -> torch.Tensor:
    """Mean over views of what ``decode(posterior)`` gives, tiles blended with nnU-Net's weights."""
    network, patch = predictor.network, tuple(predictor.configuration_manager.patch_size)
    weights = compute_gaussian(patch, 1 / 8, 10, torch.float32, torch.device("cpu"))
    available = (data != 0).flatten(1).any(1)[None]
    views = [v for n in range(4 if mirroring else 1) for v in itertools.combinations((1, 2, 3), n)]
    total, coverage = 0, torch.zeros(SHAPE)
    for slicer in predictor._internal_get_sliding_window_slicers(SHAPE):
        coverage[slicer[1:]] += weights
    for view in views:
        blended = 0
        for slicer in predictor._internal_get_sliding_window_slicers(SHAPE):
            x = torch.flip(data[slicer], view)[None]
            with torch.inference_mode():
                posterior = network.fuse(network.encode(x, available), 1, x.shape[2:])
                out = torch.flip(decode(posterior), view)
            whole = torch.zeros(len(out), *SHAPE)
            whole[slicer] = out * weights
            blended = blended + whole
        total = total + blended / coverage
    return total / len(views)


class TestMean:
    @pytest.mark.parametrize("mirroring", [False, True])
    def test_without_draws_it_is_the_mean_probability_of_the_posteriors_mean(self, predictor, mirroring):
        model = predictor(mirroring=mirroring, num_samples=0, save_completed="all")
        data = images()
        found = model.predict_case(data, PROPERTIES, "a")
        expected = probabilities_by_hand(
            model, data, mirroring, lambda p: model.network.decoder([q.mean for q in p])[0].sigmoid()
        )
        torch.testing.assert_close(torch.from_numpy(found.logits).sigmoid(), expected, atol=1e-5, rtol=1e-4)
        expected = probabilities_by_hand(
            model, data, mirroring, lambda p: model.network.complete([q.mean for q in p], masks((0, 2, 3)))[0]
        )
        torch.testing.assert_close(torch.from_numpy(found.completion), expected, atol=1e-4, rtol=1e-4)
        assert (found.draws, found.volumes, found.used) == (0, None, (0, 2, 3))

    def test_many_draws_come_near_the_expectation(self, predictor):
        """The mean of draws with other seeds is the same within their scatter, and not the posterior's mean."""
        data = images()
        many = [
            torch.from_numpy(predictor(num_samples=60, seed=seed).predict_case(data, PROPERTIES, "a").logits).sigmoid()
            for seed in (1, 2)
        ]
        mean = torch.from_numpy(predictor(num_samples=0).predict_case(data, PROPERTIES, "a").logits).sigmoid()
        scatter = (many[0] - many[1]).abs().mean()
        assert scatter < 0.05
        assert (many[0] + many[1] - 2 * mean).abs().mean() > scatter

    def test_small_case_is_padded_and_cropped(self, predictor):
        data = images()[:, :10, :16, :9]
        found = predictor(num_samples=2, save_completed="missing", save_uncertainty=True).predict_case(
            data, {**PROPERTIES, "shape_after_cropping_and_before_resampling": (10, 16, 9)}, "a"
        )
        assert found.logits.shape == found.entropy.shape == (3, 10, 16, 9)
        assert found.completion.shape == (1, 10, 16, 9)
        assert found.volumes.max() <= 10 * 16 * 9 * 2 / 1000


class TestDraws:
    @pytest.mark.parametrize(
        ("mirroring", "folds", "expected"), [(False, (0,), 3), (True, (0,), 8), (False, (0, 1), 6)]
    )
    def test_number_and_cost(self, predictor, monkeypatch, mirroring, folds, expected):
        """A tile is encoded once per view, whatever the number of draws."""
        model = predictor(folds, mirroring, num_samples=3)
        seen = {"encode": 0, "decoder": 0}
        encode, decode = model.network.encode_each, model.network.decoder.forward
        monkeypatch.setattr(
            model.network, "encode_each", lambda x, a: seen.update(encode=seen["encode"] + len(x)) or encode(x, a)
        )
        monkeypatch.setattr(
            model.network.decoder,
            "forward",
            lambda z: seen.update(decoder=seen["decoder"] + len(z[0])) or decode(z),
        )
        found = model.predict_case(images(), PROPERTIES, "a")
        tiles = len(model._internal_get_sliding_window_slicers(SHAPE))
        assert found.draws == len(found.volumes) == expected
        assert seen == {"encode": tiles * (8 if mirroring else 1) * len(folds), "decoder": tiles * expected}

    def test_same_seed_and_name_same_result_whatever_came_before(self, predictor):
        first = predictor(num_samples=3).predict_case(images(), PROPERTIES, "a")
        torch.manual_seed(5)
        other = predictor(num_samples=3).predict_case(images(), PROPERTIES, "b")
        again = predictor(num_samples=3).predict_case(images(), PROPERTIES, "a")
        seed = predictor(num_samples=3, seed=1).predict_case(images(), PROPERTIES, "a")
        assert (first.logits == again.logits).all() and (first.volumes == again.volumes).all()
        assert (first.logits != other.logits).any() and (first.logits != seed.logits).any()

    def test_the_global_random_stream_is_left_alone(self, predictor):
        torch.manual_seed(5)
        expected = torch.rand(3)
        torch.manual_seed(5)
        predictor(num_samples=2).predict_case(images(), PROPERTIES, "a")
        assert (torch.rand(3) == expected).all()

    def test_little_memory_costs_passes_not_the_result(self, predictor, monkeypatch):
        model = predictor(mirroring=True, num_samples=10, save_completed="missing")
        expected = model.predict_case(images(), PROPERTIES, "a")
        monkeypatch.setattr(sliding_window, "ACCUMULATOR_BYTES", 3 * 3 * 4 * np.prod(SHAPE))
        found = model.predict_case(images(), PROPERTIES, "a")
        for name in ("logits", "completion", "volumes"):
            np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=2e-4)

    def test_volumes_are_those_of_the_decisions(self, predictor):
        """One draw: its volume is that of the segmentation, in millilitres."""
        model = predictor(num_samples=1)
        found = model.predict_case(images(), PROPERTIES, "a")
        label_map = model.label_manager.convert_logits_to_segmentation(found.logits)
        assert found.volumes[0] == pytest.approx([(label_map >= label).sum() * 2 / 1000 for label in (1, 2, 3)])
        assert found.disagreement == pytest.approx(np.zeros(3), abs=1e-6)


class TestUncertainty:
    def test_bounds(self, predictor):
        found = predictor((0, 1), num_samples=4, save_uncertainty=True).predict_case(images(), PROPERTIES, "a")
        assert found.entropy.shape == found.mutual_information.shape == (3, *SHAPE)
        assert found.entropy.min() >= 0 and found.entropy.max() <= np.log(2) + 1e-6
        assert (found.mutual_information >= 0).all() and (found.mutual_information <= found.entropy).all()
        assert found.mutual_information.max() > 0.01
        assert ((found.disagreement >= 0) & (found.disagreement <= 1)).all() and found.disagreement.max() > 0

    def test_without_draws_there_is_entropy_only(self, predictor):
        found = predictor(num_samples=0, save_uncertainty=True).predict_case(images(), PROPERTIES, "a")
        probability = 1 / (1 + np.exp(-found.logits.astype(np.float64)))
        entropy = -probability * np.log(probability) - (1 - probability) * np.log(1 - probability)
        np.testing.assert_allclose(found.entropy, entropy, atol=1e-4)
        assert found.mutual_information is None and found.disagreement is None


class TestCompletion:
    @pytest.mark.parametrize(
        ("which", "absent", "expected"), [("missing", (1, 2), (1, 2)), ("all", (1,), (0, 1, 2, 3))]
    )
    def test_which(self, predictor, which, absent, expected):
        found = predictor(num_samples=2, save_completed=which).predict_case(images(absent=absent), PROPERTIES, "a")
        assert found.completed == expected and found.completion.shape == (len(expected), *SHAPE)

    def test_nothing_is_missing(self, predictor):
        found = predictor(num_samples=0, save_completed="missing").predict_case(images(absent=()), PROPERTIES, "a")
        assert found.completed == () and found.completion is None

    def test_same_draws_as_the_segmentation(self, predictor):
        """Whether images are decoded or not makes no difference to the segmentation."""
        plain = predictor(num_samples=3).predict_case(images(), PROPERTIES, "a")
        both = predictor(num_samples=3, save_completed="all").predict_case(images(), PROPERTIES, "a")
        assert (plain.logits == both.logits).all()

    def test_model_without_image_decoders(self, tmp_path):
        model = write_tiny_model(tmp_path, settings={"image_decoders": False})
        options = PredictionOptions(sampling=SamplingOptions(save_completed="missing"))
        with pytest.raises(SettingsError, match=r"without image decoders.*--save_completed"):
            HeteroModalPredictor(options=options, device=torch.device("cpu")).initialize_from_trained_model_folder(
                str(model.folder), None
            )


class TestLabelsInsteadOfRegions:
    def test_export_gives_the_mean_probabilities_back(self, tmp_path):
        """Softmax over background and two labels; the averaged maps sum to one, and nnU-Net's softmax keeps them."""
        model = write_tiny_model(tmp_path, labels={"edema": 1, "core": 2})
        predictor = HeteroModalPredictor(
            options=PredictionOptions(sampling=SamplingOptions(3, save_uncertainty=True)),
            use_mirroring=False,
            allow_tqdm=False,
            device=torch.device("cpu"),
        )
        predictor.initialize_from_trained_model_folder(str(model.folder), None)
        found = predictor.predict_case(images(), PROPERTIES, "a")
        assert found.logits.shape == (3, *SHAPE) and found.entropy.shape == (2, *SHAPE)
        stored = torch.from_numpy(np.exp(found.logits))
        torch.testing.assert_close(stored.sum(0), torch.ones(SHAPE), atol=1e-5, rtol=0)
        torch.testing.assert_close(predictor.label_manager.apply_inference_nonlin(found.logits), stored)


class TestTwoDimensions:
    """A 2D network goes through the slices one by one; draws, views and completion as in 3D."""

    DATA = torch.randn(4, 3, 20, 14, generator=torch.Generator().manual_seed(0))
    DATA[2] = 0

    def predict(self, data: torch.Tensor, num_samples: int):
        strides = [[1, 1], [2, 2], [2, 2]]
        network, configuration = tiny_network(strides=strides), tiny_configuration(strides=strides)
        configuration.configuration["patch_size"] = [16, 16]
        predictor = HeteroModalPredictor(
            options=PredictionOptions(sampling=SamplingOptions(num_samples, save_completed="missing")),
            allow_tqdm=False,
            device=torch.device("cpu"),
        )
        predictor.manual_initialization(
            network,
            PlansManager(tiny_plans()),
            configuration,
            [network.state_dict()],
            tiny_dataset_json(),
            "HeteroModalVAETrainer",
            (0, 1),
        )
        shape = tuple(data.shape[1:])
        properties = {"spacing": [5.0, 1.0, 1.0], "shape_after_cropping_and_before_resampling": shape}
        return predictor.predict_case(data, properties, "a")

    def test_draws(self):
        found = self.predict(self.DATA, num_samples=5)
        assert found.draws == 8 and found.volumes.shape == (8, 3)
        assert found.logits.shape == (3, 3, 20, 14) and found.completion.shape == (1, 3, 20, 14)

    def test_a_slice_is_what_it_is_alone(self):
        found, alone = (self.predict(data, num_samples=0) for data in (self.DATA, self.DATA[:, 1:2]))
        np.testing.assert_allclose(alone.logits[:, 0], found.logits[:, 1], atol=1e-4)
        np.testing.assert_allclose(alone.completion[:, 0], found.completion[:, 1], atol=1e-4)
        assert not np.allclose(found.logits[:, 0], found.logits[:, 1], atol=0.1)


@pytest.mark.parametrize("options", [{"num_samples": 2}, {"num_samples": 0}])
def test_output_that_is_not_finite_is_no_empty_segmentation(predictor, options):
    model = predictor(**options)
    weights = {name: tensor.clone() for name, tensor in model.list_of_parameters[0].items()}
    try:
        with torch.no_grad():
            for tensor in model.list_of_parameters[0].values():
                tensor.mul_(1e30)
        with pytest.raises(DataError, match="Case 'a': the network's output is NaN or infinite"):
            model.predict_case(images(), PROPERTIES, "a")
    finally:
        model.list_of_parameters[0].update(weights)
