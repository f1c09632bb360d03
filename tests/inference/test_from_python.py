"""Prediction from Python: arrays and files in, arrays out, the same as the command."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from helpers.tiny_model import read_array, write_case

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor

SPACING = (1.0, 1.0, 1.0)


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


def load(model, num_samples=2, **options) -> HeteroModalPredictor:
    options = PredictionOptions(sampling=SamplingOptions(num_samples), **options)
    return HeteroModalPredictor.from_model_folder(
        model.folder, folds=0, device="cpu", options=options, use_mirroring=False
    )


@pytest.fixture(scope="module")
def predictor(tiny_model):
    return load(tiny_model)


@pytest.fixture
def files(tmp_path):
    """T1c and FLAIR of one case."""
    return dict(zip(("t1c", "FLAIR"), write_case(tmp_path / "images", "a", present=(1, 3)), strict=True))


@pytest.fixture
def arrays(files):
    return {name: read_array(file) for name, file in files.items()}


def test_the_example_of_the_docstring(tiny_model, arrays):
    names = {
        "HeteroModalPredictor": HeteroModalPredictor,
        "model_folder": tiny_model.folder,
        "t1c": arrays["t1c"],
        "flair": arrays["FLAIR"],
    }
    examples = doctest.DocTestFinder(recurse=False).find(HeteroModalPredictor.predict, "predict", globs=names)
    result = doctest.DocTestRunner().run(examples[0])
    assert result.attempted == 5 and result.failed == 0


class TestResults:
    def test_arrays_and_files_and_the_command_agree(self, predictor, tmp_path, files, arrays):
        of_arrays = predictor.predict(arrays, SPACING, case="a")
        of_files = predictor.predict(files, case="a")
        predictor.predict_from_files_sequential(
            str(tmp_path / "images"), str(tmp_path / "out"), save_probabilities=True
        )
        probabilities = np.load(tmp_path / "out" / "a.npz")["probabilities"]
        for found in (of_arrays, of_files):
            assert found.used == ("T1c", "FLAIR")
            assert (found.segmentation == read_array(tmp_path / "out" / "a.nii.gz")).all()
            assert (found.probabilities == probabilities).all()
        assert (of_arrays.entropy["tumor core"] == of_files.entropy["tumor core"]).all()

    def test_all_lie_on_the_grid_of_the_case(self, predictor, arrays):
        found = predictor.predict(arrays, (3.0, 1.0, 0.7))
        shape = arrays["t1c"].shape
        maps = [*found.completed.values(), *found.entropy.values(), *found.mutual_information.values()]
        assert found.segmentation.shape == shape and found.probabilities.shape == (3, *shape)
        assert len(maps) == 2 + 3 + 3 and all(one.shape == shape for one in maps)
        background = (arrays["t1c"] == 0) & (arrays["FLAIR"] == 0)
        assert all((image[background] == 0).all() for image in found.completed.values())
        voxels = (found.segmentation > 0).sum()
        assert found.volumes["whole tumor"].millilitres == pytest.approx(voxels * 3.0 * 0.7 / 1000)
        assert set(found.disagreement) == set(found.volumes)

    def test_without_draws(self, tiny_model, arrays):
        found = load(tiny_model, num_samples=0).predict(arrays, SPACING)
        assert found.mutual_information == found.disagreement == {}
        assert set(found.entropy) == {"whole tumor", "tumor core", "enhancing tumor"}
        assert found.volumes["tumor core"].low is None

    def test_options_hold(self, tiny_model, arrays):
        found = load(tiny_model, missing=("flair",)).predict(arrays, SPACING)
        assert found.used == ("T1c",) and set(found.completed) == {"T1", "T2", "FLAIR"}

    def test_folds_and_devices(self, tiny_model):
        assert len(HeteroModalPredictor.from_model_folder(tiny_model.folder).list_of_parameters) == 2
        assert load(tiny_model).device == torch.device("cpu")


class TestErrors:
    @pytest.mark.parametrize(
        ("change", "spacing", "error", "message"),
        [
            (lambda a: a.update(T9=a["t1c"]), SPACING, SettingsError, "Unknown modality 'T9'"),
            (lambda a: a.update(T1C=a["t1c"]), SPACING, SettingsError, "more than once"),
            (lambda a: a.update(T2="file.nii.gz"), SPACING, SettingsError, "some are arrays"),
            (lambda a: None, None, SettingsError, "The spacing is None"),
            (lambda a: None, (1.0, 1.0), SettingsError, r"The spacing is \(1.0, 1.0\)"),
            (lambda a: a.clear(), SPACING, DataError, "No image is given. Give at least one of T1, T1c"),
            (lambda a: a.update(T2=a["t1c"][1:]), SPACING, DataError, r"^The case: the array of T2 has shape \(19,"),
            (
                lambda a: a.update(T2=np.full_like(a["t1c"], np.nan)),
                SPACING,
                DataError,
                r"T2 has \d+ voxel.* NaN",
            ),
            (lambda a: [image.fill(0) for image in a.values()], SPACING, DataError, "^The case has no modality left"),
        ],
    )
    def test_arrays(self, predictor, arrays, change, spacing, error, message):
        change(arrays)
        with pytest.raises(error, match=message):
            predictor.predict(arrays, spacing)

    @pytest.mark.parametrize("given", [[1, 2], None, torch.zeros(3, 3, 3)])
    def test_what_is_neither_file_nor_array(self, predictor, given):
        with pytest.raises(
            SettingsError, match=f"T1 is given as {type(given).__name__}; expected is a file or a numpy"
        ):
            predictor.predict({"T1": given})

    def test_a_file_that_is_not_there_or_a_folder(self, predictor, tmp_path):
        with pytest.raises(DataError, match=r"T1: .*no\.nii\.gz is not there"):
            predictor.predict({"T1": tmp_path / "no.nii.gz"})
        with pytest.raises(DataError, match="is a folder, not a file"):
            predictor.predict({"T1": tmp_path})

    def test_the_case_by_its_name_if_it_has_one(self, predictor, arrays):
        with pytest.raises(DataError, match=r"^Case 'a' has no modality left \(T1: no file, T1c: empty image"):
            predictor.predict({"T1c": np.zeros_like(arrays["t1c"])}, SPACING, case="a")

    def test_files_with_a_spacing(self, predictor, files):
        with pytest.raises(SettingsError, match="which have their own"):
            predictor.predict(files, SPACING)
