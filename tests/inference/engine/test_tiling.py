"""Tiles of a case: nnU-Net's own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

from nnunet_hetero.inference.engine.model import Tiles
from nnunet_hetero.inference.engine.tiling import slicers_of


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
