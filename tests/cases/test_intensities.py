"""Intensities of the training images: the numbers, their cache, and where the trainer leaves them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from helpers.tiny_model import CHANNELS, read_array, write_case, write_image, write_json
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunet_hetero.cases.intensities import RawImages, cohort_moments
from nnunet_hetero.errors import DataError
from nnunet_hetero.modalities import Modalities


@pytest.fixture
def raw(tmp_path):
    """Three cases: `a` and `b` whole, `c` without T1c."""
    for seed, case in enumerate("abc"):
        write_case(tmp_path / "imagesTr", case, seed=seed, labels=tmp_path / "labelsTr")
    write_image(tmp_path / "imagesTr" / "c_0001.nii.gz", np.zeros((20, 18, 22), np.float32))
    names = {"channel_names": dict(enumerate(CHANNELS)), "labels": {}, "numTraining": 3, "file_ending": ".nii.gz"}
    write_json(tmp_path / "dataset.json", names)
    return RawImages(tmp_path, Modalities(CHANNELS), [True, True, True, False], SimpleITKIO())


def images_of(raw, case) -> np.ndarray:
    return np.stack([read_array(raw.folder / "imagesTr" / f"{case}_{n:04d}.nii.gz") for n in range(4)])


class TestNumbers:
    def test_mean_over_cases_inside_the_mask(self, raw, tmp_path):
        found = cohort_moments(raw, ["a", "c"], tmp_path / "cache.json", progress=False)
        values = {case: images_of(raw, case) for case in "ac"}
        inside = {case: (images != 0).any(axis=0) for case, images in values.items()}
        t1 = [values[case][0][inside[case]] for case in "ac"]
        assert found["T1"]["mean"] == pytest.approx(np.mean([v.mean() for v in t1]))
        assert found["T1"]["sd"] == pytest.approx(np.mean([v.std() for v in t1]), rel=1e-5)
        assert found["T1c"]["mean"] == pytest.approx(values["a"][1][inside["a"]].mean())
        assert {name: entry["cases"] for name, entry in found.items()} == {"T1": 2, "T1c": 1, "T2": 2, "FLAIR": 2}

    def test_undoes_the_z_score_of_a_case(self, raw, tmp_path):
        """FLAIR is normalised by the whole cropped image."""
        from nnunetv2.preprocessing.cropping.cropping import crop_to_nonzero
        from nnunetv2.preprocessing.normalization.default_normalization_schemes import ZScoreNormalization

        found = cohort_moments(raw, ["a"], tmp_path / "cache.json", progress=False)
        images, segmentation, _ = crop_to_nonzero(images_of(raw, "a"))
        for channel, name in ((0, "T1"), (3, "FLAIR")):
            scheme = ZScoreNormalization(raw.masked[channel], {})
            normalised = scheme.run(images[channel].copy(), segmentation[0])
            inside = segmentation[0] >= 0
            back = normalised * found[name]["sd"] + found[name]["mean"]
            np.testing.assert_allclose(back[inside], images[channel][inside], atol=1e-4)


class TestCache:
    def test_each_image_is_read_once_unless_it_changes(self, raw, tmp_path, monkeypatch):
        read = []
        original = RawImages.statistics_of_case
        monkeypatch.setattr(
            RawImages, "statistics_of_case", lambda self, files: read.append(files) or original(self, files)
        )
        cache = tmp_path / "cache.json"
        first = cohort_moments(raw, ["a", "b"], cache, progress=False)
        cohort_moments(raw, ["b", "c"], cache, progress=False)
        assert len(read) == 3
        assert sorted(json.loads(cache.read_text())) == ["a", "b", "c"]
        write_image(raw.folder / "imagesTr" / "a_0000.nii.gz", 2 * images_of(raw, "a")[0])
        again = cohort_moments(raw, ["a", "b"], cache, progress=False)
        assert len(read) == 4
        assert again["T1"]["mean"] > first["T1"]["mean"]


def test_an_image_that_was_cut_short_is_named(raw):
    """ITK would fill it with zeros, and the mean with them."""
    file = raw.folder / "imagesTr" / "a_0001.nii.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match=f"Training image {file} cannot be read .*damaged or truncated"):
        raw.statistics_of_case([str(raw.folder / "imagesTr" / f"a_{channel:04d}.nii.gz") for channel in range(4)])
