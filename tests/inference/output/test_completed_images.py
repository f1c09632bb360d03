"""Completed images: intensities, background, geometry, and a folder that nnU-Net reads."""

from __future__ import annotations

import dataclasses
import json
import shutil

import numpy as np
import pytest
import SimpleITK as sitk
import torch
from helpers.tiny_model import CHANNELS, read_array, trained_otherwise, write_case, write_image, write_tiny_model
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.utilities.utils import create_lists_from_splitted_dataset_folder
from scipy.ndimage import binary_erosion, binary_fill_holes

from nnunet_hetero.cases.case_images import CaseImages
from nnunet_hetero.cases.intensity_scale import (
    COHORT_UNITS,
    NORMALISED_UNITS,
    IntensityScale,
)
from nnunet_hetero.cases.preprocess import preprocess
from nnunet_hetero.inference.engine.case_result import CasePrediction, SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.output.case_writer import CaseWriter
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.modalities import Modalities

COHORT = {name: {"mean": 100.0 * (n + 1), "sd": 10.0 * (n + 1), "cases": 3} for n, name in enumerate(CHANNELS)}
DIRECTION = (0.0, -1.0, 0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture(scope="module")
def model(tiny_model, tmp_path_factory):
    """Like the tiny model, with intensities of its training images and plans that resample to 1 mm."""
    return write_tiny_model(tmp_path_factory.mktemp("model"), intensity=COHORT)


@pytest.fixture
def images(tmp_path):
    """One case with T1 and FLAIR on an oblique grid of 1.5 mm."""
    for file in write_case(tmp_path / "images", "a", present=(0, 3)):
        write_image(file, read_array(file), 1.5, origin=(-10.5, 20.25, 7.0), direction=DIRECTION)
    return tmp_path / "images"


def predict(model, images, output, which="missing", num_samples=2):
    options = PredictionOptions(sampling=SamplingOptions(num_samples, save_completed=which))
    predictor = HeteroModalPredictor.from_model_folder(model.folder, device="cpu", options=options, use_mirroring=False)
    predictor.predict_from_files_sequential(str(images), str(output))
    return predictor


class TestFiles:
    def test_grid_background_and_intensities(self, model, images, tmp_path):
        predict(model, images, tmp_path / "out")
        folder = tmp_path / "out" / "completed"
        assert sorted(file.name for file in folder.iterdir()) == [
            "a_0001.json",
            "a_0001.nii.gz",
            "a_0002.json",
            "a_0002.nii.gz",
        ]
        original = sitk.ReadImage(str(images / "a_0000.nii.gz"))
        background = (read_array(images / "a_0000.nii.gz") == 0) & (read_array(images / "a_0003.nii.gz") == 0)
        for channel in (1, 2):
            file = folder / f"a_{channel:04d}.nii.gz"
            image = sitk.ReadImage(str(file))
            for quantity in ("GetSize", "GetSpacing", "GetOrigin", "GetDirection"):
                assert getattr(image, quantity)() == pytest.approx(getattr(original, quantity)(), abs=1e-6)
            values = read_array(file)
            assert (values[background] == 0).all() and (values[~background] != 0).mean() > 0.99
            expected = COHORT[CHANNELS[channel]]
            # Random weights complete nothing, but their numbers are near 0 in normalised units.
            assert abs(values[~background].mean() - expected["mean"]) < 5 * expected["sd"]
            entry = json.loads(file.with_name(f"a_{channel:04d}.json").read_text())
            assert entry["modality"] == CHANNELS[channel] and entry["from"] == ["T1", "FLAIR"]
            assert (entry["mean"], entry["sd"], entry["draws"]) == (expected["mean"], expected["sd"], 2)
            assert entry["units"] == COHORT_UNITS

    def test_without_resampling_it_is_what_the_network_gave(self, model, tmp_path):
        write_case(tmp_path / "images", "a", present=(0, 3))
        predictor = predict(model, tmp_path / "images", tmp_path / "out", "all", num_samples=0)
        items = predictor._internal_get_data_iterator_from_lists_of_filenames(
            predictor.cases_of_part(str(tmp_path / "images"), None)[0], None, [None], 0
        )
        item = next(items)
        found = predictor.predict_case(item["data"], item["data_properties"], "a")
        box = tuple(slice(*limits) for limits in item["data_properties"]["bbox_used_for_cropping"])
        inside = (read_array(tmp_path / "images" / "a_0003.nii.gz") != 0)[box]
        for channel in range(4):
            written = read_array(tmp_path / "out" / "completed" / f"a_{channel:04d}.nii.gz")[box]
            scale = COHORT[CHANNELS[channel]]
            expected = found.completion[channel] * scale["sd"] + scale["mean"]
            np.testing.assert_allclose(written[inside], expected[inside], rtol=1e-4)
            entry = json.loads((tmp_path / "out" / "completed" / f"a_{channel:04d}.json").read_text())
            assert entry["kind"].startswith("reconstructed" if channel in (0, 3) else "completed")

    def test_with_the_files_that_are_there_it_is_an_input_of_nnunet(self, model, images, tmp_path):
        predict(model, images, tmp_path / "out")
        folder = tmp_path / "out" / "completed"
        for file in images.iterdir():
            shutil.copy(file, folder)
        ((*files,),) = create_lists_from_splitted_dataset_folder(str(folder), ".nii.gz")
        assert [file[-11:-7] for file in files] == ["0000", "0001", "0002", "0003"]
        data, _ = SimpleITKIO().read_images(files)
        assert data.shape[0] == 4 and data.any(axis=(1, 2, 3)).all()
        predict(model, folder, tmp_path / "again")
        assert json.loads((tmp_path / "again" / "modalities.json").read_text())["a"]["absent"] == {}

    def test_no_intensities_are_known(self, tiny_model, images, tmp_path):
        predict(tiny_model, images, tmp_path / "out")
        entry = json.loads((tmp_path / "out" / "completed" / "a_0001.json").read_text())
        assert (entry["units"], entry["mean"], entry["sd"]) == (NORMALISED_UNITS, 0.0, 1.0)

    def test_nothing_is_missing(self, model, tmp_path):
        write_case(tmp_path / "images", "a")
        predict(model, tmp_path / "images", tmp_path / "out")
        assert not (tmp_path / "out" / "completed").exists()

    def test_axes_and_spacing_of_the_plans(self, tmp_path, images, model):
        """Plans that swap axes and resample: the completed image still lies on the case's grid."""
        folder = shutil.copytree(model.folder, tmp_path / "model")
        trained_otherwise(folder, swap_axes(spacing=[2.0, 1.2, 1.5]))
        predictor = HeteroModalPredictor.from_model_folder(folder, folds=0, device="cpu", use_mirroring=False)
        t1 = read_array(images / "a_0000.nii.gz")
        found = predictor.predict({"T1": images / "a_0000.nii.gz"}, case="a")
        assert found.completed["T2"].shape == t1.shape
        assert ((found.completed["T2"] == 0) == (t1 == 0)).mean() > 0.999
        assert torch.isfinite(torch.from_numpy(found.completed["T2"])).all()


def swap_axes(**changes):
    """Changes plans to other axes, and the configuration to other entries."""

    def change(plans: dict, configuration: dict) -> None:
        plans["transpose_forward"], plans["transpose_backward"] = [2, 0, 1], [1, 2, 0]
        configuration.update(changes)

    return change


class TestEdgeOfTheBrain:
    """Resampled to the network's grid, an image is mixed with background at the brain's edge."""

    @pytest.fixture
    def case(self):
        """A smooth image four times, on a grid of 1 mm."""
        z, y, x = np.mgrid[-12:12, -14:14, -13:13]
        image = np.where((z / 10) ** 2 + (y / 12) ** 2 + (x / 11) ** 2 < 1, 200.0 + 10 * z, 0).astype(np.float32)
        grid = {"spacing": [1.0] * 3, "sitk_stuff": {"spacing": (1.0,) * 3, "origin": (0.0,) * 3}}
        return CaseImages("a", Modalities(CHANNELS), np.stack([image] * 4), (grid,) * 4, {})

    def back_and_forth(self, model, case, folder, masked):
        """The real T2 on the network's grid, taken for a completed one: in z-scored units, and resampled only."""
        shutil.copytree(model.folder, folder)
        trained_otherwise(folder, swap_axes(spacing=[2.0, 1.5, 1.7], use_mask_for_norm=[masked] * 4))
        predictor = HeteroModalPredictor.from_model_folder(folder, folds=0, device="cpu")
        prepared = preprocess(case, predictor.model.preparation)
        completion = prepared.data[[2]]
        writer = dataclasses.replace(CaseWriter.of_model(predictor.model), scales=[IntensityScale()] * 4)
        written = writer.completed_images(CasePrediction((0, 2), 0, None, completion, (2,)), prepared.properties)[0]
        resample = predictor.configuration_manager.resampling_fn_data
        return written, writer.on_case_grid(completion, prepared.properties, resample)[0]

    def test_is_as_bright_as_the_image(self, model, case, tmp_path):
        written, resampled = self.back_and_forth(model, case, tmp_path / "model", masked=True)
        brain = case.data[2] != 0
        edge = brain & ~binary_erosion(brain, iterations=2)
        real = (case.data[2] - case.data[2][brain].mean()) / case.data[2][brain].std()
        errors = [np.abs(image - real)[edge].mean() for image in (written, resampled)]
        assert errors[0] < 0.05 < 0.2 < errors[1]
        assert (written[~brain] == 0).all()

    def test_zeros_inside_were_mixed_with_nothing(self, model, case, tmp_path):
        """nnU-Net normalises the holes of its mask as well."""
        case.data[:, 10:14, 12:16, 11:15] = 0
        written, resampled = self.back_and_forth(model, case, tmp_path / "model", masked=True)
        brain = case.data[2] != 0
        inside = binary_erosion(binary_fill_holes(brain), iterations=4) & brain
        assert inside.sum() > 300
        np.testing.assert_allclose(written[inside], resampled[inside], rtol=0.05, atol=0.05)

    def test_where_background_is_not_zero_nothing_is_made_up_for(self, model, case, tmp_path):
        """Without a mask, a z-score makes the background darker than any tissue."""
        written, resampled = self.back_and_forth(model, case, tmp_path / "model", masked=False)
        np.testing.assert_array_equal(written, np.where(case.data[2] != 0, resampled, 0))
