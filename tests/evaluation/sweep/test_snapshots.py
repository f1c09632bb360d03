"""The slice of a case that is kept for the report."""

from __future__ import annotations

import numpy as np
import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.evaluation.sweep import snapshots
from nnunet_hetero.evaluation.sweep.snapshots import load_snapshot, save_snapshot

SPACING = (2.0, 1.0, 0.5)


@pytest.fixture
def case():
    images = np.zeros((3, 5, 20, 16), np.float32)
    images[:2, :, 4:14, 5:12] = np.random.default_rng(0).uniform(10, 20, (2, 5, 10, 7))
    truth = np.zeros((5, 20, 16), np.int16)
    truth[1, 6, 6] = 1
    truth[3, 6:9, 6:9] = 2
    return images, truth


class TestSnapshot:
    def test_is_the_slice_of_the_largest_truth_cropped_to_the_head(self, case, tmp_path):
        images, truth = case
        prediction = np.roll(truth, 1, axis=1)
        file = save_snapshot(tmp_path, "case_1", "T1+FLAIR", images, truth, prediction, SPACING)
        assert file == tmp_path / "snapshots" / "case_1.npz"
        found = load_snapshot(tmp_path, "case_1")
        window = (slice(2, 16), slice(3, 14))  # the head and two voxels around
        assert (found.position, found.spacing) == (3, (1.0, 0.5))
        np.testing.assert_array_equal(found.truth, truth[3][window])
        np.testing.assert_array_equal(found.predictions["T1+FLAIR"], prediction[3][window])
        assert found.images.shape == (3, 14, 11) and found.images.dtype == np.uint8
        assert not found.images[2].any()
        np.testing.assert_array_equal(found.images[0] > 0, images[0, 3][window] > 0)
        order = np.argsort(images[0, 3][window].ravel())
        assert (np.diff(found.images[0].ravel()[order].astype(int)) >= 0).all()

    def test_other_subsets_stay_and_the_same_one_is_replaced(self, case, tmp_path):
        images, truth = case
        for subset, prediction in (("T1", truth), ("T1+T2", 0 * truth), ("T1", 0 * truth)):
            save_snapshot(tmp_path, "a", subset, images, truth, prediction, SPACING)
        found = load_snapshot(tmp_path, "a").predictions
        assert set(found) == {"T1", "T1+T2"} and not found["T1"].any()
        assert [file.name for file in (tmp_path / "snapshots").iterdir()] == ["a.npz"]

    def test_predictions_of_a_case_that_changed_go(self, case, tmp_path):
        images, truth = case
        save_snapshot(tmp_path, "a", "T1", images, truth, truth, SPACING)
        save_snapshot(tmp_path, "a", "T2", images, np.roll(truth, 1, axis=2), truth, SPACING)
        assert set(load_snapshot(tmp_path, "a").predictions) == {"T2"}

    def test_without_a_tumour_it_is_the_largest_slice_of_the_head(self, case, tmp_path):
        images, truth = case
        images[:, 2, :, 15] = 1
        save_snapshot(tmp_path, "a", "T1", images, 0 * truth, truth, SPACING)
        assert load_snapshot(tmp_path, "a").position == 2

    def test_large_slices_are_thinned_out(self, tmp_path, monkeypatch):
        monkeypatch.setattr(snapshots, "LARGEST_SIDE", 8)
        truth = np.ones((1, 30, 20), np.uint8)
        save_snapshot(tmp_path, "a", "R", truth[None], truth, truth, (1.0, 1.0, 1.0))
        found = load_snapshot(tmp_path, "a")
        assert found.truth.shape == found.predictions["R"].shape == found.images.shape[1:] == (8, 5)
        assert found.spacing == (4.0, 4.0)

    def test_names_that_are_no_file_names(self, case, tmp_path):
        images, truth = case
        file = save_snapshot(tmp_path, "site/../a", "T1/Gd+T2", images, truth, truth, SPACING)
        assert file.parent == tmp_path / "snapshots"
        assert set(load_snapshot(tmp_path, "site/../a").predictions) == {"T1/Gd+T2"}

    def test_shapes_must_agree(self, case, tmp_path):
        images, truth = case
        with pytest.raises(ValueError, match="differ"):
            save_snapshot(tmp_path, "a", "T1", images, truth, truth[1:], SPACING)

    def test_damaged_or_absent(self, tmp_path):
        assert load_snapshot(tmp_path, "a") is None
        (tmp_path / "snapshots").mkdir()
        (tmp_path / "snapshots" / "a.npz").write_bytes(b"PK nonsense")
        with pytest.raises(DataError, match=r"Case 'a': .*a\.npz, is damaged"):
            load_snapshot(tmp_path, "a")
