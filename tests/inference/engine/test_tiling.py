"""Tiles of a case: nnU-Net's own."""

from __future__ import annotations

import dataclasses
from itertools import product
from types import SimpleNamespace

import pytest
import torch
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_hetero.inference.engine.effort import Effort
from nnunet_hetero.inference.engine.model import Tiles
from nnunet_hetero.inference.engine.tiling import slicers_of, window_of
from nnunet_hetero.inference.predictor import HeteroModalPredictor


@pytest.mark.parametrize(
    ("patch", "spatial", "step"),
    [((16, 16, 16), (16, 40, 17), 0.5), ((8, 16, 12), (20, 16, 30), 0.7), ((16, 12), (3, 16, 30), 0.5)],
)
def test_as_nnunet_cuts_a_case(patch, spatial, step, capsys):
    theirs = nnUNetPredictor(tile_step_size=step)
    theirs.configuration_manager = SimpleNamespace(patch_size=list(patch))
    model = SimpleNamespace(patch_size=patch, tiles=Tiles(step, told=True))
    found = slicers_of(model, spatial)
    assert found == theirs._internal_get_sliding_window_slicers(spatial)
    assert f"{len(found)} tiles" in capsys.readouterr().out


class TestWindow:
    @pytest.fixture
    def model(self, nnunet_folders):
        return HeteroModalPredictor.from_model_folder(nnunet_folders.folder, device="cpu").model

    def window(self, model, *key):
        return window_of(model, model.parameters[0], key, (16, 16, 24), Effort(2, torch.device("cpu")))

    def test_every_view_tile_and_draw_has_noise_of_its_own_that_repeats(self, model):
        """Draws that share noise agree for no reason: the model would seem surer than it is."""
        keys = list(product(range(3), repeat=3))

        def noise(*key) -> list[float]:
            window = self.window(model, *key)
            return [torch.randn(1, generator=window.noise(*one)).item() for one in keys]

        first = noise(5, "a", 0)
        assert noise(5, "a", 0) == first and len(set(first)) == len(keys)
        for other in ((6, "a", 0), (5, "b", 0), (5, "a", 1)):
            assert not set(noise(*other)) & set(first)

    def test_has_the_folds_weights_and_the_models_views(self, model):
        window = window_of(model, model.parameters[1], (0,), (16, 16, 24), Effort(2, torch.device("cpu")))
        for name, weight in window.network.state_dict().items():
            assert torch.equal(weight, model.parameters[1][name])
        assert len(window.views) == 8 and len(window.slicers) == 2

    def test_centre_of_a_tile_weighs_most_unless_all_weigh_the_same(self, model):
        weights = self.window(model).weights
        assert weights[8, 8, 8] == weights.max() > 5 * weights[0, 0, 0] > 0
        flat = dataclasses.replace(model, tiles=dataclasses.replace(model.tiles, gaussian=False))
        assert (self.window(flat).weights == 1).all()
