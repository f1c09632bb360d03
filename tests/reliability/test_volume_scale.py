import numpy as np
import pytest

from nnunet_hetero.reliability.volume_scale import FLOOR, VolumeScale, stated_width


@pytest.mark.parametrize(("voxel", "unit", "smallest"), [(0.001, "ml", 0.1), (0.5, "ml", 0.5), (1.0, "mm2", 10.0)])
def test_the_smallest_size_is_a_voxel_at_least(voxel, unit, smallest):
    assert VolumeScale(voxel, unit).smallest == smallest


@pytest.mark.parametrize("size", [0.0, 0.01, 3.0, 250.0])
def test_there_and_back(size):
    scale = VolumeScale(0.008, "ml")
    assert scale.size(scale.place(np.array(size))) == pytest.approx(size, abs=1e-12)


def test_no_size_is_negative():
    assert VolumeScale(0.008, "ml").size(-50.0) == 0.0


def test_widths():
    disagreement = np.array([0.0, 0.4])
    np.testing.assert_allclose(stated_width(disagreement, True), [FLOOR, FLOOR + 0.4])
    np.testing.assert_allclose(stated_width(disagreement, False), [1, 1])
