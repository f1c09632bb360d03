"""The lesion-wise rule of BraTS 2023, on masks whose scores are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.evaluation.scores.lesions import lesion_scores
from nnunet_hetero.evaluation.scores.metric_settings import LESION_RULES

SHAPE = (40, 24, 24)
ISOTROPIC = (1.0, 1.0, 1.0)


def boxes(*corners_and_sizes) -> np.ndarray:
    """A mask of boxes, each given by its first voxel and its size."""
    mask = np.zeros(SHAPE, bool)
    for corner, size in corners_and_sizes:
        mask[tuple(slice(start, start + edge) for start, edge in zip(corner, size, strict=True))] = True
    return mask


CUBE = (4, 4, 4)  # 64 mm³
FIRST, SECOND = ((4, 4, 4), CUBE), ((20, 4, 4), CUBE)


def scores(prediction, truth, spacing=ISOTROPIC, rule="glioma"):
    return tuple(lesion_scores(prediction, truth, spacing, LESION_RULES[rule]))


class TestRule:
    def test_nothing_in_either(self):
        assert scores(boxes(), boxes()) == (1.0, 0.0)

    def test_perfect(self):
        assert scores(boxes(FIRST, SECOND), boxes(FIRST, SECOND)) == (1.0, 0.0)

    def test_a_missed_lesion(self):
        assert scores(boxes(FIRST), boxes(FIRST, SECOND)) == pytest.approx((1 / 2, 374 / 2))

    def test_nothing_predicted(self):
        assert scores(boxes(), boxes(FIRST, SECOND)) == (0.0, 374.0)

    def test_false_components_of_any_size(self):
        """One lesion found, one voxel and one cube far from it."""
        prediction = boxes(FIRST, ((35, 20, 20), (1, 1, 1)), ((20, 16, 4), CUBE))
        assert scores(prediction, boxes(FIRST)) == pytest.approx((1 / 3, 2 * 374 / 3))

    def test_only_false_components(self):
        assert scores(boxes(FIRST), boxes()) == (0.0, 374.0)

    def test_a_shifted_lesion(self):
        """The overlap is 48 of 64 voxels; the far faces lie 1 mm from the other cube."""
        shifted = boxes(((5, 4, 4), CUBE))
        assert scores(shifted, boxes(FIRST)) == pytest.approx((2 * 48 / 128, 1.0))
        assert scores(shifted, boxes(FIRST), (2.0, 1.0, 1.0)) == pytest.approx((2 * 48 / 128, 2.0))

    def test_dilation_merges_lesions(self):
        """Five voxels apart: three dilations each side meet, one does not."""
        truth = boxes(FIRST, ((13, 4, 4), CUBE))
        assert scores(boxes(FIRST), truth)[0] == pytest.approx(2 * 64 / (64 + 128))
        assert scores(boxes(FIRST), truth, rule="meningioma") == pytest.approx((1 / 2, 374 / 2))

    def test_dilation_and_touching_go_over_faces_and_edges_not_corners(self):
        """One dilation reaches the voxel beyond an edge of the cube, but not the one beyond a corner."""
        truth = boxes(FIRST)
        beyond_edge, beyond_corner = boxes(((8, 8, 5), (1, 1, 1))), boxes(((8, 8, 8), (1, 1, 1)))
        dice, hd95 = scores(beyond_edge, truth, rule="meningioma")
        assert dice == 0 and hd95 < 10  # it is the lesion's prediction, only without overlap
        assert scores(beyond_corner, truth, rule="meningioma") == (0.0, 374.0)

    def test_components_of_the_prediction_connect_at_corners(self):
        """Two cubes that share a corner are one component: a false one counts once."""
        prediction = boxes(FIRST, ((20, 12, 4), (2, 2, 2)), ((22, 14, 6), (2, 2, 2)))
        assert scores(prediction, boxes(FIRST)) == pytest.approx((1 / 2, 374 / 2))

    def test_all_components_near_a_lesion_are_its_prediction(self):
        """The lesion's own cube, and another one two voxels away: 64 + 8 voxels predicted, 64 true."""
        prediction = boxes(FIRST, ((10, 4, 4), (2, 2, 2)))
        assert scores(prediction, boxes(FIRST))[0] == pytest.approx(2 * 64 / (72 + 64))

    def test_one_component_over_two_lesions_is_the_prediction_of_both(self):
        bridge = boxes(((4, 4, 4), (20, 4, 4)))
        assert scores(bridge, boxes(FIRST, SECOND))[0] == pytest.approx(2 * 64 / (320 + 64))


class TestSmallLesions:
    @pytest.mark.parametrize(("size", "counts"), [((2, 5, 5), False), ((3, 17, 1), True)])
    def test_up_to_50_cubic_millimetres_they_are_left_out(self, size, counts):
        small = ((20, 4, 4), size)
        assert scores(boxes(FIRST), boxes(FIRST, small)) == ((1 / 2, 374 / 2) if counts else (1.0, 0.0))

    def test_their_prediction_is_not_false(self):
        small = ((20, 4, 4), (2, 5, 5))
        assert scores(boxes(small), boxes(small)) == (1.0, 0.0)
        assert scores(boxes(FIRST, small), boxes(FIRST, small)) == (1.0, 0.0)

    @pytest.mark.parametrize(("voxels", "counts"), [(6, False), (7, True)])
    def test_the_volume_is_in_millimetres(self, voxels, counts):
        """At 2 mm a voxel has 8 mm³: 48 are left out, 56 are not."""
        small = boxes(((20, 4, 4), (voxels, 1, 1)))
        assert scores(boxes(), small, (2.0, 2.0, 2.0)) == ((0.0, 374.0) if counts else (1.0, 0.0))

    def test_metastases_count_from_3_voxels(self):
        for voxels, expected in ((2, (1.0, 0.0)), (3, (0.0, 374.0))):
            assert scores(boxes(), boxes(((9, 9, 9), (voxels, 1, 1))), rule="metastases") == expected


class TestPlace:
    def test_where_the_lesions_are_makes_no_difference(self):
        """Also at the border of the image, where there is no room for the dilation."""
        prediction, truth = boxes(((1, 0, 0), CUBE)), boxes(((0, 0, 0), CUBE))
        inside = boxes(((11, 9, 9), CUBE)), boxes(((10, 9, 9), CUBE))
        assert scores(prediction, truth) == pytest.approx(scores(*inside))
