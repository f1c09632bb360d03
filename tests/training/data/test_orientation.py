from __future__ import annotations

import os
from types import SimpleNamespace

import pytest
import SimpleITK as sitk
from helpers.tiny_model import tiny_dataset_json, write_case, write_json
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO

from nnunet_hetero.cases.orientation import UNKNOWN, reoriented
from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.reorient.data_set import reorient
from nnunet_hetero.training.data.orientation import settled_orientation

DATASET = "Dataset501_Tiny"


class Preprocessed:
    """Cases as nnU-Net's dataset loads them, as far as their properties go."""

    def __init__(self, source_folder="nowhere", **properties):
        self.source_folder = source_folder
        self.cases = properties
        self.identifiers = sorted(properties)

    def load_case(self, case):
        return None, None, None, self.cases[case]


def lying(orientation: str) -> dict:
    """What nnU-Net's preprocessing keeps of an image."""
    image = reoriented(sitk.Image(3, 4, 5, sitk.sitkUInt8), orientation)
    stuff = {"spacing": image.GetSpacing(), "origin": image.GetOrigin(), "direction": image.GetDirection()}
    return {"spacing": list(image.GetSpacing())[::-1], "sitk_stuff": stuff}


@pytest.fixture
def trainer(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", str(tmp_path))
    return SimpleNamespace(
        plans_manager=SimpleNamespace(dataset_name=DATASET, image_reader_writer_class=lambda: SimpleITKIO()),
        configuration_manager=SimpleNamespace(use_mask_for_norm=[True] * 4),
        dataset_json=tiny_dataset_json(),
        orientation=UNKNOWN,
    )


def test_one(trainer):
    training, validation = Preprocessed(a=lying("RAS"), b=lying("RAS")), Preprocessed(c=lying("RAS"))
    assert settled_orientation(trainer, (training, validation)) == "RAS"


def test_none(trainer):
    picture = {"spacing": [999.0, 1.0, 1.0]}
    assert settled_orientation(trainer, (Preprocessed(a=picture, b=picture),)) is None


@pytest.mark.parametrize("validation", [{"c": lying("LPI")}, {"c": {"spacing": [1.0] * 3}}], ids=["turned", "nowhere"])
def test_several_are_refused_with_the_list(trainer, validation):
    """Those of the validation cases count: the validation after the training would be wrong."""
    training = Preprocessed(a=lying("RAS"), b=lying("RAS"))
    with pytest.raises(DataError, match=r"RAS in 2 case\(s\), .* in 1: c\.") as error:
        settled_orientation(trainer, (training, Preprocessed(**validation)))
    assert "nnunet_hetero reorient -d 501; nnUNetv2_plan_and_preprocess -d 501" in str(error.value)


def test_files_of_one_case(trainer, tmp_path):
    """nnU-Net stacks them with a warning, and keeps the header of the first alone."""
    folder = tmp_path / DATASET
    for case in "ab":
        files = write_case(folder / "imagesTr", case, shape=(5, 4, 3), labels=folder / "labelsTr")
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=2))
    datasets = (Preprocessed(a=lying("LPS"), b=lying("LPS")),)
    assert settled_orientation(trainer, datasets) == "LPS"
    for file in (files[2], folder / "labelsTr" / "b.nii.gz"):
        straight = sitk.ReadImage(str(file))
        sitk.WriteImage(reoriented(straight, "RAS"), str(file))
        with pytest.raises(DataError, match=rf"RAS in 1: {file.name}"):
            settled_orientation(trainer, datasets)
        sitk.WriteImage(straight, str(file))


def test_first_files_of_all_cases(trainer, tmp_path):
    """What preprocessing has kept is the same for all, and is that of no other file."""
    folder = tmp_path / DATASET
    for case in "ab":
        first = write_case(folder / "imagesTr", case, shape=(5, 4, 3), labels=folder / "labelsTr")[0]
        sitk.WriteImage(reoriented(sitk.ReadImage(str(first)), "RAS"), str(first))
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=2))
    with pytest.raises(DataError, match=r"LPS in 2 case\(s\), RAS in 2: a_0000.nii.gz, b_0000.nii.gz"):
        settled_orientation(trainer, (Preprocessed(a=lying("RAS"), b=lying("RAS")),))


def test_files_of_a_case_turned_since_it_was_preprocessed(trainer, tmp_path):
    """Stacked in different orientations they are nonsense, and the properties of the first file do not tell."""
    folder = tmp_path / DATASET
    for case in "ab":
        files = write_case(folder / "imagesTr", case, shape=(5, 4, 3), labels=folder / "labelsTr")
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=2))
    sitk.WriteImage(reoriented(sitk.ReadImage(str(files[2])), "RAS"), str(files[2]))
    for case in "ab":
        (tmp_path / f"{case}.pkl").touch()
    os.utime(tmp_path / "b.pkl", ns=(10**18, 10**18))
    reorient(folder, progress=False)
    datasets = (Preprocessed(tmp_path, a=lying("LPS"), b=lying("LPS")),)
    with pytest.raises(DataError, match=r"Files of b had different orientations.*nnUNetv2_plan_and_preprocess -d 501"):
        settled_orientation(trainer, datasets)
    os.utime(tmp_path / "b.pkl", ns=(2 * 10**18, 2 * 10**18))  # preprocessed again
    assert settled_orientation(trainer, datasets) == "LPS"


def test_all_turned_since_they_were_preprocessed(trainer, tmp_path):
    """The training sees what was preprocessed; the model says in which orientation that was."""
    folder = tmp_path / DATASET
    for file in write_case(folder / "imagesTr", "a", shape=(5, 4, 3)):
        sitk.WriteImage(reoriented(sitk.ReadImage(str(file)), "RAS"), str(file))
    write_json(folder / "dataset.json", tiny_dataset_json(num_training=1))
    assert settled_orientation(trainer, (Preprocessed(a=lying("LPS")),)) == "LPS"


@pytest.mark.parametrize("before", ["RAS", None])
def test_a_continued_training_stays_with_its_own(trainer, before):
    trainer.orientation = before
    datasets = (Preprocessed(a=lying("LPS")),)
    with pytest.raises(SettingsError, match=f"in the orientation {before}, and they now have LPS"):
        settled_orientation(trainer, datasets)
    trainer.orientation = "LPS"
    assert settled_orientation(trainer, datasets) == "LPS"


def test_a_trained_model_knows_it(make_trainer, tiny_dataset):
    """From the phantom's files through nnU-Net's preprocessing into the checkpoint, and back into a training."""
    trainer = make_trainer()
    trainer.prepare_inputs()
    trainer.get_tr_and_val_datasets()
    assert trainer.orientation == "LPS"
    state = trainer.state_to_save()
    assert state["orientation"] == "LPS"
    continued = make_trainer(resume=True)
    continued.load_saved_state(state)
    assert continued.orientation == "LPS"
    del state["orientation"]
    continued.load_saved_state(state)
    assert continued.orientation == UNKNOWN
