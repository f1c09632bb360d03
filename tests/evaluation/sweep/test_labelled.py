"""Validation cases as nnU-Net's dataset knows them."""

from __future__ import annotations

import shutil

import pytest
from helpers.tiny_model import CHANNELS, tiny_dataset_json, write_json, write_tiny_model

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.evaluation.sweep.labelled import validation_cases
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(CHANNELS)


@pytest.fixture
def model(tmp_path, monkeypatch):
    model = write_tiny_model(tmp_path, folds=(), cases=["a", "b", "c"])
    for name, value in model.environment().items():
        monkeypatch.setenv(name, value)
    return model


def find(model, fold=1):
    return validation_cases(model.dataset, fold, BRATS, tiny_dataset_json())


class TestValidationCases:
    def test_of_a_fold_and_of_all(self, model):
        (entry,) = find(model)
        assert (entry.case.name, entry.label) == ("b", str(model.labels / "b.nii.gz"))
        assert entry.case.files[3] == str(model.images / "b_0003.nii.gz")
        assert [entry.case.name for entry in find(model, "all")] == ["a", "b", "c"]

    def test_absent_file(self, model):
        (model.images / "b_0001.nii.gz").unlink()
        assert find(model)[0].case.files[1] is None

    def test_dataset_that_lists_its_files(self, model):
        """Such files may have any names, and lie anywhere."""
        shutil.move(model.images, model.raw / "elsewhere")
        names = ["t1", "gd", "t2", "flair"]
        for channel, name in enumerate(names):
            shutil.move(model.raw / "elsewhere" / f"b_{channel:04d}.nii.gz", model.raw / f"{name}.nii.gz")
        listed = {"b": {"images": [f"../{name}.nii.gz" for name in names], "label": "labelsTr/a.nii.gz"}}
        write_json(model.raw / model.dataset / "dataset.json", {**tiny_dataset_json(), "dataset": listed})
        (entry,) = find(model)
        assert (entry.case.name, entry.case.problem) == ("b", None)
        assert [file.rsplit("/", 1)[1] for file in entry.case.files] == [f"{name}.nii.gz" for name in names]
        assert entry.label.endswith("labelsTr/a.nii.gz")

    @pytest.mark.parametrize("fold", [5, "x"])
    def test_unknown_fold(self, model, fold):
        with pytest.raises(SettingsError, match=f"no fold {fold};.*has the folds 0 to 4"):
            find(model, fold)

    def test_case_without_images_or_label(self, model):
        (model.labels / "b.nii.gz").unlink()
        with pytest.raises(DataError, match=r"1 of 1 case\(s\) have no label map, e.g. case 'b'"):
            find(model)
        for file in model.images.glob("b_*"):
            file.unlink()
        with pytest.raises(DataError, match="Case 'b' is a validation case of fold 1, but has no images"):
            find(model)

    def test_variable_is_not_set(self, model, monkeypatch):
        monkeypatch.delenv("nnUNet_preprocessed")
        with pytest.raises(SettingsError, match="variables are not set: nnUNet_preprocessed"):
            find(model)
