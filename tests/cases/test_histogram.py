"""Histogram standardisation: against TorchIO on the same images, at the edges, and at prediction."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.tiny_model import CHANNELS, CONFIGURATION, read_array, tiny_dataset_json, tiny_plans, write_case
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.histogram import (
    PERCENTILES,
    image_statistics,
    mean_landmarks,
    preprocessed_landmarks,
    standard_scale,
    standardise,
)
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.preprocess import preprocess, read_case
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.modalities import Modalities

MODALITIES = Modalities(CHANNELS)
SHARED = [0, 1, 2, 4, 5, 6, 7, 8, 10, 11, 12]
"""TorchIO's landmarks that it maps by: all but the quartiles."""


def plans(scheme: str = "ZScoreNormalization", masked: bool = True) -> PlansManager:
    content = tiny_plans(scheme=scheme)
    content["configurations"][CONFIGURATION]["use_mask_for_norm"] = [masked] * 4
    return PlansManager(content)


def prepared(folder: Path, case: str, manager: PlansManager, landmarks=None, files=None):
    """What prediction makes of a case."""
    files = files or tuple(str(folder / f"{case}_{channel:04d}.nii.gz") for channel in range(4))
    images = read_case(Case(case, files), MODALITIES, (0, 1, 2, 3), SimpleITKIO())
    configuration = manager.get_configuration(CONFIGURATION)
    return preprocess(images, Preparation(manager, configuration, tiny_dataset_json(), landmarks))


@pytest.fixture
def cohort(tmp_path):
    """Folder of three cases with intensities of scanners of their own, and their statistics by channel."""
    statistics = []
    for seed, case in enumerate("abc"):
        for file in write_case(tmp_path, case, seed=seed):
            rescale(file, 3.0 + 5 * seed, 40 * seed, 0.6 + 0.3 * seed)
        statistics.append(image_statistics(images_of(tmp_path, case), [True] * 4))
    return tmp_path, statistics


def rescale(file: Path, factor: float, offset: float, gamma: float) -> None:
    import SimpleITK as sitk

    image = sitk.ReadImage(str(file))
    array = sitk.GetArrayFromImage(image)
    changed = np.where(array == 0, 0, offset + factor * np.abs(array) ** gamma).astype(np.float32)
    result = sitk.GetImageFromArray(changed)
    result.CopyInformation(image)
    sitk.WriteImage(result, str(file))


def images_of(folder: Path, case: str) -> np.ndarray:
    return np.stack([read_array(folder / f"{case}_{channel:04d}.nii.gz") for channel in range(4)])


def scale_of(statistics: list, channel: int) -> np.ndarray:
    return np.array(standard_scale([case[channel] for case in statistics]))


def landmarks_of(statistics: list) -> dict[str, list[float]]:
    return {name: scale_of(statistics, channel).tolist() for channel, name in enumerate(CHANNELS)}


class TestAgainstTorchIO:
    """Ours is TorchIO's, but for the ends of the scale: theirs are 0 and 100."""

    def theirs(self, folder: Path, channel: int) -> np.ndarray:
        from torchio import HistogramStandardization

        files = [folder / f"{case}_{channel:04d}.nii.gz" for case in "abc"]
        return HistogramStandardization.train(files, masking_function=lambda image: image != 0, progress=False)

    @pytest.mark.parametrize("channel", range(4))
    def test_landmarks(self, cohort, channel):
        folder, statistics = cohort
        ours = scale_of(statistics, channel)
        theirs = self.theirs(folder, channel)[SHARED]
        np.testing.assert_allclose(100 * (ours - ours[0]) / (ours[-1] - ours[0]), theirs, atol=1e-3)

    @pytest.mark.parametrize("masked", [True, False])
    @pytest.mark.parametrize("case", "abc")
    def test_standardised_images(self, cohort, case, masked):
        """After nnU-Net's crop and z-score, as the network gets them; to a thousandth of their range."""
        import torchio

        folder, statistics = cohort
        manager = plans(masked=masked)
        scale = landmarks_of(statistics)
        ours = prepared(folder, case, manager, scale)
        before = images_of(folder, case)
        crop = tuple(slice(*bounds) for bounds in ours.properties["bbox_used_for_cropping"])
        for channel, name in enumerate(CHANNELS):
            transform = torchio.HistogramStandardization(
                {"image": self.theirs(folder, channel)}, masking_method=lambda image: image != 0
            )
            image = torchio.ScalarImage(folder / f"{case}_{channel:04d}.nii.gz")
            theirs = transform(torchio.Subject(image=image))["image"].data[0].permute(2, 1, 0).numpy()[crop]
            first, last = scale[name][0], scale[name][-1]
            found = 100 * (ours.data[channel] - first) / (last - first)
            brain = before[channel][crop] != 0
            np.testing.assert_allclose(found[brain], theirs[brain], atol=0.1)
            assert np.ptp(theirs[brain]) > 90


class TestScale:
    def test_ends_do_not_depend_on_the_scanners_scale(self, cohort):
        _, statistics = cohort
        for channel in range(4):
            cases = [case[channel] for case in statistics]
            brighter = [{key: np.multiply(value, 40.0) for key, value in cases[0].items()}, *cases[1:]]
            np.testing.assert_allclose(standard_scale(brighter), standard_scale(cases))
            ends = np.mean([preprocessed_landmarks(case)[[0, -1]] for case in cases], axis=0)
            np.testing.assert_allclose(np.array(standard_scale(cases))[[0, -1]], ends)

    def test_standardised_images_have_the_moments_of_normalised_ones(self, cohort):
        """So completed images, of which mean and standard deviation are undone, have the cohort's intensities."""
        folder, statistics = cohort
        cases = [prepared(folder, case, plans(), landmarks_of(statistics)) for case in "abc"]
        for channel in (2, 3):  # their heads are those of nnU-Net's mask
            brains = [case.data[channel][case.data[channel] != 0] for case in cases]
            assert np.mean([brain.mean() for brain in brains]) == pytest.approx(0, abs=0.05)
            assert np.mean([brain.std() for brain in brains]) == pytest.approx(1, abs=0.05)

    def test_one_case_is_its_own_standard(self, cohort):
        _, statistics = cohort
        landmarks = preprocessed_landmarks(statistics[0][2])
        np.testing.assert_allclose(standard_scale([statistics[0][2]]), landmarks)
        values = np.linspace(-5, 5, 50)
        np.testing.assert_allclose(standardise(values, landmarks, landmarks), values, atol=1e-6)

    def test_constant_images_do_not_count(self, cohort):
        _, statistics = cohort
        constant = {"mean": 5.0, "sd": 0.0, "landmarks": [5.0] * len(PERCENTILES)}
        assert standard_scale([constant]) == []
        alone, beside = standard_scale([statistics[0][0]]), standard_scale([statistics[0][0], constant])
        assert alone == beside

    def test_background_does_not_count(self):
        image = np.zeros((1, 10, 10, 10), np.float32)
        image[0, :5] = np.random.default_rng(0).uniform(50, 60, (5, 10, 10))
        landmarks = image_statistics(image, [False])[0]["landmarks"]
        np.testing.assert_allclose(landmarks, np.percentile(image[image != 0].astype(np.float64), PERCENTILES))

    def test_ensemble(self):
        folds = [{"T1": [0.0, 1.0]}, {"T1": [1.0, 3.0], "T2": [5.0, 6.0]}]
        assert mean_landmarks(folds) == {"T1": [0.5, 2.0], "T2": [5.0, 6.0]}


class TestStandardise:
    def test_landmarks_come_to_lie_on_the_standard_ones(self):
        source, target = np.array([0.0, 1.0, 5.0]), [10.0, 20.0, 30.0]
        np.testing.assert_allclose(standardise(source, source, target), target)

    def test_it_goes_on_beyond_the_ends_with_the_slope_of_the_last_piece(self):
        values = standardise(np.array([-1.0, 9.0]), np.array([0.0, 1.0, 5.0]), [10.0, 20.0, 30.0])
        np.testing.assert_allclose(values, [0.0, 40.0])

    def test_landmarks_that_coincide(self):
        """An image of few grey levels: the value goes to the middle of its landmarks, and order is kept."""
        values = standardise(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.0, 0.0, 2.0]), [0.0, 1.0, 2.0, 9.0])
        np.testing.assert_allclose(values, [1.0, 5.0, 9.0])

    def test_a_constant_image_stays(self):
        np.testing.assert_array_equal(standardise(np.full(3, 4.0), np.full(4, 4.0), range(4)), np.full(3, 4.0))


def spread(folder: Path, cases: list, channel: int) -> float:
    """Largest difference of a percentile of the brain between preprocessed cases."""
    found = []
    for case in cases:
        crop = tuple(slice(*bounds) for bounds in case.properties["bbox_used_for_cropping"])
        brain = images_of(folder, case.name)[channel][crop] != 0
        found.append(np.percentile(case.data[channel][brain], PERCENTILES))
    return float(np.ptp(found, axis=0).max())


class TestAtPrediction:
    def test_cases_of_different_scanners_become_alike(self, cohort):
        folder, statistics = cohort
        plain = [prepared(folder, case, plans()) for case in "abc"]
        moved = [prepared(folder, case, plans(), landmarks_of(statistics)) for case in "abc"]
        for channel in range(4):
            assert spread(folder, moved, channel) < 0.01 < 0.1 < spread(folder, plain, channel)

    def test_background_stays_zero(self, cohort):
        folder, statistics = cohort
        plain = prepared(folder, "b", plans()).data
        moved = prepared(folder, "b", plans(), landmarks_of(statistics)).data
        np.testing.assert_array_equal(plain == 0, moved == 0)

    def test_absent_modalities_stay_zero_and_the_others_do_not_depend_on_them(self, cohort):
        folder, statistics = cohort
        files = tuple(None if channel == 1 else str(folder / f"a_{channel:04d}.nii.gz") for channel in range(4))
        whole = prepared(folder, "a", plans(), landmarks_of(statistics))
        part = prepared(folder, "a", plans(), landmarks_of(statistics), files)
        assert not part.data[1].any() and part.used == (0, 2, 3)
        np.testing.assert_allclose(part.data[[0, 2, 3]], whole.data[[0, 2, 3]], atol=1e-5)

    def test_other_schemes_are_left_alone(self, cohort):
        folder, statistics = cohort
        plain = prepared(folder, "a", plans("CTNormalization")).data
        moved = prepared(folder, "a", plans("CTNormalization"), landmarks_of(statistics)).data
        np.testing.assert_array_equal(plain, moved)

    def test_modality_that_no_training_case_had(self, cohort):
        folder, statistics = cohort
        landmarks = landmarks_of(statistics)
        del landmarks["T2"]
        with pytest.raises(DataError, match=r"no histogram landmarks of T2.*--missing T2"):
            prepared(folder, "a", plans(), landmarks)


def steps(start: int = 0) -> dict[str, list[int]]:
    """A standard scale that is easy to recognise."""
    return {name: list(range(start, start + len(PERCENTILES))) for name in CHANNELS}


class TestModel:
    """Landmarks are in the checkpoint; a model that was trained with them is not used without."""

    @pytest.fixture
    def write(self, tmp_path):
        from helpers.tiny_model import write_tiny_model

        def model(*landmarks, standardised=True):
            settings = {"histogram_standardisation": standardised}
            written = write_tiny_model(tmp_path, folds=range(len(landmarks)), settings=settings)
            for fold, entry in enumerate(landmarks):
                file = written.folder / f"fold_{fold}" / "checkpoint_final.pth"
                checkpoint = torch.load(file, weights_only=False)
                checkpoint["hetero_modal"]["landmarks"] = entry
                torch.save(checkpoint, file)
            return written.folder

        return model

    def test_mean_over_the_folds(self, write):
        ends = [steps(fold) for fold in (0, 1)]
        predictor = HeteroModalPredictor.from_model_folder(write(*ends), device="cpu")
        assert predictor.model.preparation.landmarks["T1"] == [value + 0.5 for value in range(11)]

    def test_missing_landmarks(self, write):
        folder = write(steps(), None)
        with pytest.raises(SettingsError, match=r"fold_1.checkpoint_final.pth has no hetero_modal.landmarks, so its"):
            HeteroModalPredictor.from_model_folder(folder, device="cpu")

    def test_without_the_setting_there_are_none(self, write):
        predictor = HeteroModalPredictor.from_model_folder(write(None, standardised=False), device="cpu")
        assert predictor.model.preparation.required_landmarks() is None

    def test_a_model_without_its_folder(self, write):
        whole = HeteroModalPredictor.from_model_folder(write(steps()), device="cpu")
        predictor = HeteroModalPredictor(device=torch.device("cpu"))
        predictor.manual_initialization(
            whole.network, whole.plans_manager, whole.configuration_manager, None, whole.dataset_json, "", None
        )
        with pytest.raises(SettingsError, match="was not loaded from its folder, so its histogram landmarks"):
            predictor.model.preparation.required_landmarks()
