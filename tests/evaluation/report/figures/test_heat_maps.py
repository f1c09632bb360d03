"""Maps of subsets and regions."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.evaluation.report.figures import heat_map
from nnunet_hetero.evaluation.report.figures.heat_maps import difference_map


@pytest.mark.parametrize(("higher", "blue"), [(True, 0), (False, 1)])
def test_better_is_blue(higher, blue):
    figure = difference_map(("T1",), [[True], [True]], ["a"], np.array([[5.0], [-5]]), [["+"], ["-"]], "x", higher)
    image = figure.axes[1].images[0]
    colours = image.cmap(image.norm(image.get_array()))[:, 0]
    assert colours[blue, 2] > colours[blue, 0] and colours[1 - blue, 0] > colours[1 - blue, 2]


def test_heat_map_has_every_value(summary):
    dots, heat = heat_map(summary).axes
    assert len(heat.texts) == 7 * 3
    assert [text.get_text() for text in heat.texts[-3:]] == ["60.0", "70.0", "65.0"]
    assert "–" in [text.get_text() for text in heat.texts]
    assert len(dots.lines) == 7 * 3
