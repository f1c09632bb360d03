from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.tiny_model import tiny_dataset_json, write_json
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.imageio.tif_reader_writer import Tiff3DIO

from nnunet_hetero.cases.oriented_reader import stored_orientation
from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError
from nnunet_hetero.reorient.listing import (
    files_of_training_cases,
    mixture_in_words,
    orientation_in_file,
    orientations_of_cases,
    require_one_orientation,
)

FORMS = {"straight": np.diag([1.0, 1, 1, 1]), "flipped": np.diag([-1.0, 1, -1, 1])}
SHEARED = np.array([[1, 0.5, 0, 0], [0, -1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])


@pytest.mark.parametrize("reader", [SimpleITKIO, NibabelIO])
@pytest.mark.parametrize("codes", [(1, 1), (1, 0), (0, 1), (0, 0), (4, 2)])
@pytest.mark.parametrize("sform", ["straight", "flipped"])
def test_is_what_the_reader_says(reader, codes, sform, tmp_path):
    """Whichever of the header's forms it takes, also where they contradict each other, or there is none."""
    file = tmp_path / "a.nii.gz"
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), None)
    image.header.set_sform(FORMS[sform], code=codes[0])
    image.header.set_qform(FORMS["straight"], code=codes[1])
    nibabel.save(image, file)
    _, properties = reader().read_images([str(file)])
    assert orientation_in_file(file, reader) == stored_orientation(properties)


def test_a_sheared_sform_leaves_itk_the_qform(tmp_path):
    file = tmp_path / "a.nii.gz"
    image = nibabel.Nifti1Image(np.zeros((3, 4, 5), np.uint8), None)
    image.header.set_sform(SHEARED, code=1)
    image.header.set_qform(np.eye(4), code=1)
    nibabel.save(image, file)
    try:
        _, properties = SimpleITKIO().read_images([str(file)])
    except RuntimeError:
        with pytest.raises(DataError, match="sheared"):
            orientation_in_file(file, SimpleITKIO)
    else:
        assert orientation_in_file(file, SimpleITKIO) == stored_orientation(properties)


@pytest.mark.parametrize("reader", [NaturalImage2DIO, Tiff3DIO, NibabelIOWithReorient])
def test_readers_without_or_with_one_orientation(reader):
    assert orientation_in_file("anything", reader) is None


def test_two_axes(tmp_path):
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4), np.uint8)), str(tmp_path / "a.nii.gz"))
    assert orientation_in_file(tmp_path / "a.nii.gz", SimpleITKIO) is None


def test_other_formats(tmp_path):
    image = sitk.GetImageFromArray(np.zeros((3, 4, 5), np.uint8))
    image.SetDirection((-1, 0, 0, 0, 0, 1, 0, 1, 0))
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"))
    assert orientation_in_file(tmp_path / "a.nrrd", SimpleITKIO) == "RSP"


class TestDataSets:
    def test_mixed_ones_are_listed(self, mixed):
        assert mixture_in_words(mixed) == "LPS in 3 case(s), RAS in 1: b, SAR in 1: d"
        with pytest.raises(DataError, match=r"LPS in 3 case.*nnunet_hetero reorient -d 501; "):
            require_one_orientation(mixed)

    def test_one_file_of_a_case(self, mixed):
        files = {case: paths for case, paths in files_of_training_cases(mixed).items() if case in "ac"}
        files["a"][1] = files_of_training_cases(mixed)["b"][1]
        assert orientations_of_cases(files, SimpleITKIO) == {
            "a": "LPS",
            "b_0001.nii.gz": "RAS",
            "c": "LPS",
        }

    def test_a_reader_that_turns_them_itself(self, mixed):
        content = {**tiny_dataset_json(num_training=5), "overwrite_image_reader_writer": "NibabelIOWithReorient"}
        write_json(mixed / "dataset.json", content)
        assert mixture_in_words(mixed) is None

    def test_fill_gaps_refuses_them(self, mixed, capsys):
        (mixed / "imagesTr" / "a_0001.nii.gz").unlink()
        assert main(["fill-gaps", "-d", "501"]) == 1
        assert "LPS in 3 case(s), RAS in 1: b, SAR in 1: d" in capsys.readouterr().err
        assert not (mixed / "imagesTr" / "a_0001.nii.gz").exists()
        assert main(["reorient", "-d", "501"]) == 0
        assert main(["fill-gaps", "-d", "501"]) == 0
        assert mixture_in_words(mixed) is None
