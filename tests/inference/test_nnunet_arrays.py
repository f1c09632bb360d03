"""nnU-Net's Python entry points give what prediction gives, or refuse."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from helpers.tiny_model import SHAPE, read_array, write_case, write_tiny_model
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

CHANNELS = ("CT", "T1", "T2")


def load(model, **options) -> HeteroModalPredictor:
    return HeteroModalPredictor.from_model_folder(
        model.folder,
        folds=0,
        device="cpu",
        options=PredictionOptions(sampling=SamplingOptions(2), **options),
        use_mirroring=False,
    )


@pytest.fixture(scope="module")
def ct_model(tmp_path_factory):
    """All channels with the normalisation of CT, which shifts zeros."""
    return write_tiny_model(tmp_path_factory.mktemp("ct"), channels=CHANNELS, scheme="CTNormalization")


@pytest.fixture(scope="module")
def predictor(ct_model):
    return load(ct_model)


@pytest.fixture
def case(tmp_path):
    """Images (3, z, y, x) of a case without CT, their properties, and the folder of its files."""
    files = write_case(tmp_path / "in", "a", present=(1, 2), channels=CHANNELS)
    images, properties = SimpleITKIO().read_images([str(file) for file in files])
    return np.concatenate([np.zeros((1, *SHAPE), np.float32), images]), properties, tmp_path


def expected(predictor, folder) -> np.ndarray:
    predictor.predict_from_files_sequential(str(folder / "in"), str(folder / "expected"))
    return read_array(folder / "expected" / "a.nii.gz")


class TestThroughOurPreparation:
    def test_single_array(self, predictor, case):
        images, properties, folder = case
        truth = expected(predictor, folder)
        before = images.copy()
        predictor.predict_single_npy_array(images, properties, None, str(folder / "a"))
        assert np.array_equal(read_array(folder / "a.nii.gz"), truth)
        assert json.loads((folder / "modalities.json").read_text())["a"]["absent"] == {"CT": "empty image"}
        assert np.array_equal(images, before)

    def test_single_array_returned(self, predictor, case):
        images, properties, _ = case
        label_map, probabilities = predictor.predict_single_npy_array(
            images, {"spacing": properties["spacing"]}, save_or_return_probabilities=True
        )
        # Without a name as a key of the draws, as `predict` does.
        alone = predictor.predict(dict(zip(CHANNELS[1:], images[1:], strict=True)), properties["spacing"])
        assert np.array_equal(label_map, alone.segmentation)
        assert np.array_equal(probabilities, alone.probabilities)

    @pytest.mark.parametrize("constant", [7.0, -1000.0])
    def test_lists_of_arrays_and_constant_channels(self, predictor, case, constant):
        images, properties, folder = case
        truth = expected(predictor, folder)
        with_constant = images.copy()
        with_constant[0] = constant
        predictor.predict_from_list_of_npy_arrays(
            [images, with_constant], None, [properties] * 2, [str(folder / "x/a"), str(folder / "y/a")], 2, False, 0
        )
        for name in "xy":
            assert np.array_equal(read_array(folder / name / "a.nii.gz"), truth)

    def test_iterator(self, predictor, case):
        images, properties, folder = case
        items = predictor.get_data_iterator_from_raw_npy_data(images, None, properties, str(folder / "a"), 1)
        predictor.predict_from_data_iterator(items, False, 0)
        assert np.array_equal(read_array(folder / "a.nii.gz"), expected(predictor, folder))

    def test_switched_off(self, ct_model, case):
        images, properties, _ = case
        images[0] = images[1] * 2
        label_map = load(ct_model, missing=("CT",)).predict_single_npy_array(images, properties)
        assert np.array_equal(
            label_map, load(ct_model).predict({"T1": images[1], "T2": images[2]}, (1, 1, 1)).segmentation
        )


class TestRefused:
    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            (lambda a: a.update(input_image=a["input_image"][1:]), DataError, r"2, 20, 18, 22.*3 channels: CT, T1, T2"),
            (lambda a: a.update(image_properties={}), SettingsError, "no 'spacing'"),
            (lambda a: a.update(image_properties={"spacing": [1, 1, 1]}), SettingsError, "no 'sitk_stuff'"),
            (lambda a: a.update(segmentation_previous_stage=np.zeros(SHAPE)), SettingsError, "no cascades"),
            (lambda a: a["input_image"][1].__setitem__((2, 3, 4), 1e39), DataError, r"T1 has 1 voxel.*\(2, 3, 4\)"),
            (lambda a: a["input_image"].fill(3), DataError, "no modality left"),
        ],
    )
    def test_arrays(self, predictor, case, change, error, message):
        images, properties, folder = case
        arguments = {
            "input_image": images.astype(np.float64),
            "image_properties": properties,
            "output_file_truncated": str(folder / "out" / "a"),
        }
        change(arguments)
        with pytest.raises(error, match=message):
            predictor.predict_single_npy_array(**arguments)
        assert not (folder / "out" / "a.nii.gz").exists()

    def test_lists_of_different_lengths(self, predictor, case):
        images, properties, _ = case
        with pytest.raises(SettingsError, match=r"2 image\(s\), 1 properties and 2 output"):
            predictor.predict_from_list_of_npy_arrays([images] * 2, None, properties, None)

    def test_one_of_a_list_is_named(self, predictor, case):
        images, properties, folder = case
        lists = [images, images * 0], None, [dict(properties), dict(properties)]
        with pytest.raises(DataError, match=r"^Image 2 of 2: The case has no modality left"):
            predictor.predict_from_list_of_npy_arrays(*lists, None, num_processes=1)
        with pytest.raises(DataError, match=r"^Case 'b' has no modality left"):
            predictor.predict_from_list_of_npy_arrays(*lists, [str(folder / name) for name in "ab"], num_processes=1)

    def nnunets_item(self, predictor, case) -> dict:
        images, properties, folder = case
        preprocessor = predictor.configuration_manager.preprocessor_class(verbose=False)
        managers = predictor.plans_manager, predictor.configuration_manager, predictor.dataset_json
        data, _, properties = preprocessor.run_case_npy(images, None, properties, *managers)
        return {"data": torch.from_numpy(data), "data_properties": properties, "ofile": str(folder / "a")}

    def test_what_nnunet_has_prepared(self, predictor, case):
        item = self.nnunets_item(predictor, case)
        predictor.predict_from_data_iterator([dict(item)], False, 0)
        assert "CT has one value throughout, not 0" in predictor.failed["a"]
        assert not (case[2] / "a.nii.gz").exists()
        for method in (predictor.predict_logits_from_preprocessed_data, predictor.predict_sliding_window_return_logits):
            with pytest.raises(DataError, match=r"CT has one value throughout.*Let this predictor prepare"):
                method(item["data"])
        with pytest.raises(DataError, match="CT has one value throughout"):
            predictor.predict_from_data_iterator([{**item, "ofile": None}], False, 0)

    def test_too_few_channels(self, predictor, case):
        item = self.nnunets_item(predictor, case)
        with pytest.raises(DataError, match=r"^The case has the shape .* with 3 channels"):
            predictor.predict_logits_from_preprocessed_data(item["data"][1:])

    def test_prepared_with_what_is_switched_off(self, ct_model, case):
        predictor = load(ct_model, missing=("T1",))
        item = self.nnunets_item(predictor, case)
        item["data"][0] = 0
        with pytest.raises(SettingsError, match="T1 is switched off, but the images were prepared with it"):
            predictor.predict_logits_from_preprocessed_data(item["data"])

    def test_what_is_zero_as_it_must_be_is_taken(self, predictor, case):
        item = self.nnunets_item(predictor, case)
        item["data"][0] = 0
        assert predictor.predict_logits_from_preprocessed_data(item["data"]).isfinite().all()

    def test_histograms(self, tmp_path, case):
        model = write_tiny_model(tmp_path / "model", channels=CHANNELS, settings={"histogram_standardisation": True})
        file = model.folder / "fold_0" / "checkpoint_final.pth"
        checkpoint = torch.load(file, weights_only=False)
        checkpoint["hetero_modal"]["landmarks"] = {name: list(range(11)) for name in CHANNELS}
        torch.save(checkpoint, file)
        predictor = load(model)
        with pytest.raises(SettingsError, match="standardised histograms, and nobody can tell"):
            predictor.predict_logits_from_preprocessed_data(torch.randn(3, 16, 16, 16))
        images, properties, _ = case
        assert predictor.predict_single_npy_array(images, properties).shape == SHAPE
