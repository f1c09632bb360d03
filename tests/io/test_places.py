"""Outputs over inputs, however they are spelt."""

from __future__ import annotations

import os

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.io.places import (
    require_apart,
    require_new_names,
    require_no_model_or_data_set,
    require_replaceable,
)


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "data" / "images"
    folder.mkdir(parents=True)
    return folder


class TestRequireApart:
    @pytest.mark.parametrize(
        "spelt", ["", ".", "../images", "new", "new/below", "../link", "../link/new", "../../data/images"]
    )
    def test_the_folder_itself_and_below(self, spelt, images):
        (images.parent / "link").symlink_to(images)
        with pytest.raises(SettingsError, match=r"\(-i\)"):
            require_apart([os.path.join(images, spelt)], {"-i": images})
        assert not list(images.iterdir())

    def test_input_by_a_link(self, images):
        link = images.parent / "link"
        link.symlink_to(images)
        with pytest.raises(SettingsError, match="is the input folder"):
            require_apart([images], {"-i": link})

    def test_relative(self, images, monkeypatch):
        monkeypatch.chdir(images)
        with pytest.raises(SettingsError, match="lies in the input folder"):
            require_apart(["out"], {"-l": None, "-i": "."})

    @pytest.mark.parametrize("spelt", ["..", "../out", "../images2"])
    def test_others_are_fine(self, spelt, images):
        require_apart([images / spelt], {"-i": images, "-l": images.parent / "none"})

    @pytest.mark.parametrize("name", ["imagesTr", "labelsTs/below", "IMAGESTR"])
    def test_folders_of_a_data_set(self, name, images):
        require_apart([images.parent / name], {"-i": images})
        (images.parent / "dataset.json").write_text("{}")
        with pytest.raises(SettingsError, match="belongs to the data set"):
            require_apart([images.parent / name], {"-i": images})


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (["plans.json", "fold_0/checkpoint_final.pth"], "the folder of a model"),
        (["checkpoint_best.pth"], "the folder of a trained fold"),
        (["dataset.json", "imagesTr/a_0000.nii.gz"], "a data set"),
        (["dataset.json", "nnUNetPlans.json"], "a preprocessed data set"),
        (["dataset.json", "plans.json", "run.json", "a.nii.gz"], None),
        ([], None),
    ],
)
def test_folders_of_models_and_data_sets(files, found, tmp_path):
    for file in files:
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).touch()
    if found is None:
        require_no_model_or_data_set(tmp_path)
        require_no_model_or_data_set(tmp_path / "new")
    else:
        with pytest.raises(SettingsError, match=f"is {found}: files of it"):
            require_no_model_or_data_set(tmp_path)


class TestRequireNewNames:
    def test_input_by_its_name_or_through_a_link(self, images):
        file = images / "A_0000.nii.gz"
        file.touch()
        (images.parent / "link").symlink_to(images)
        (images.parent / "hard.nii.gz").hardlink_to(file)
        for output in (file, images.parent / "link" / file.name, images / ".." / "images" / file.name):
            with pytest.raises(SettingsError, match=r"A_0000\.nii\.gz would be written, but it is the input"):
                require_new_names([output], [file])
        with pytest.raises(SettingsError, match="would be written, but it is the input"):
            require_new_names([images.parent / "hard.nii.gz"], [file])

    def test_twice(self, images):
        with pytest.raises(SettingsError, match="Two cases would be written to the same file"):
            require_new_names([images / "a", images / "b", images / "." / "a"], [])

    def test_others_are_fine(self, images):
        require_new_names([images / "A.nii.gz", images / "B.nii.gz"], [images / "A_0000.nii.gz", images / "none"])


def test_a_file_of_another_kind_is_not_replaced(tmp_path):
    file = tmp_path / "a"

    def own(found):
        return found.read_text().startswith("ours")

    require_replaceable(file, own, "ours")
    for text in ("", "ours, of an earlier call"):
        file.write_text(text)
        require_replaceable(file, own, "ours")
    with pytest.raises(SettingsError, match="is a folder"):
        require_replaceable(tmp_path, own, "ours")
    file.write_text("dear to somebody")
    with pytest.raises(SettingsError, match="is there already, and is not ours: it would be replaced"):
        require_replaceable(file, own, "ours")
