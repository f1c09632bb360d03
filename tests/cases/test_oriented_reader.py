from __future__ import annotations

import itertools

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO, NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO, SimpleITKIOWithReorient
from scipy.spatial.transform import Rotation

from nnunet_hetero.cases.geometry import reader_geometry
from nnunet_hetero.cases.orientation import orientation_of, reoriented
from nnunet_hetero.cases.oriented_reader import (
    STORED,
    OrientedReader,
    as_stored,
    orientation_in_words,
    orientation_record,
    oriented,
    stored_orientation,
    stored_properties,
)

READERS = (SimpleITKIO, NibabelIO, SimpleITKIOWithReorient, NibabelIOWithReorient)
OBLIQUE = Rotation.from_euler("xyz", [8, -5, 12], degrees=True).as_matrix()


def image_of(seed: int = 0) -> sitk.Image:
    image = sitk.GetImageFromArray(np.random.default_rng(seed).integers(0, 9, (3, 4, 5)).astype(np.float32))
    image.SetSpacing((0.5, 1.0, 3.0))
    image.SetOrigin((-7.0, 11.0, 13.5))
    image.SetDirection(np.ravel(OBLIQUE).tolist())
    return image


@pytest.fixture
def write(tmp_path):
    names = (f"image_{number}.nii.gz" for number in itertools.count())

    def write_one(image: sitk.Image) -> str:
        file = str(tmp_path / next(names))
        sitk.WriteImage(image, file)
        return file

    return write_one


@pytest.mark.parametrize("make", READERS)
@pytest.mark.parametrize("orientation", ["RAS", "LPS", "SRA", "PIL"])
def test_one_array_whatever_the_file(make, orientation, write, tmp_path):
    """Whichever of nnU-Net's readers, for a model of whichever orientation; those that turn images are left to it."""
    reader = OrientedReader(make(), "RAS" if make.__name__.endswith("Reorient") else "ASL")
    image = image_of()
    expected, grid = reader.read_images([write(image)])
    file = write(reoriented(image, orientation))
    found, properties = reader.read_images([file])
    assert np.array_equal(found, expected)
    ours, theirs = (reader_geometry(one.shape[1:], of) for one, of in ((found, properties), (expected, grid)))
    assert ours.displacement(theirs) < 1e-5
    np.testing.assert_allclose(properties["spacing"], grid["spacing"], rtol=1e-6)
    # Written back, it lies on the case's own grid, voxel by voxel.
    output = str(tmp_path / "out.nii.gz")
    reader.write_seg(found[0].astype(np.uint8), output, properties)
    written, stored = (sitk.ReadImage(path) for path in (output, file))
    assert np.array_equal(sitk.GetArrayFromImage(written), sitk.GetArrayFromImage(stored))
    np.testing.assert_allclose(written.GetDirection(), stored.GetDirection(), atol=1e-6)
    np.testing.assert_allclose(written.GetOrigin(), stored.GetOrigin(), atol=1e-5)
    assert np.array_equal(reader.read_seg(output)[0], found)


@pytest.mark.parametrize("make", READERS[:2])
def test_properties_of_the_file_come_back(make, write):
    file = write(reoriented(image_of(), "PIL"))
    plain, before = make().read_images([file])
    turned, properties = oriented(plain, {**before, "shape_before_cropping": (3, 4, 5)}, "RAS")
    assert np.array_equal(as_stored(turned, properties), plain)
    after = stored_properties(properties)
    assert after.pop("shape_before_cropping") == (3, 4, 5)
    assert after.keys() == before.keys()
    for key, value in before.items():
        np.testing.assert_equal(after[key], value)
    assert stored_orientation(properties) == stored_orientation(before) == "PIL"


def test_several_files_of_different_orientations(write):
    reader = OrientedReader(SimpleITKIO(), "RAS")
    images = [image_of(0), image_of(1)]
    files = [write(reoriented(image, orientation)) for image, orientation in zip(images, ("LPS", "SAR"), strict=True)]
    found, properties = reader.read_images(files)
    for channel, image in enumerate(images):
        assert np.array_equal(found[channel], sitk.GetArrayFromImage(reoriented(image, "RAS")))
    assert stored_orientation(properties) == "LPS"


def test_no_second_turn(write):
    images, properties = SimpleITKIO().read_images([write(image_of())])
    turned, once = oriented(images, properties, "RAS")
    again, twice = oriented(turned, once, "RAS")
    assert again is turned
    assert twice is once


class TestUntouched:
    """What has no place in space, and models that know no orientation."""

    def test_pictures(self, tmp_path):
        from skimage.io import imsave

        file = str(tmp_path / "a.png")
        imsave(file, np.arange(20, dtype=np.uint8).reshape(4, 5), check_contrast=False)
        plain, properties = NaturalImage2DIO().read_images([file])
        found, same = OrientedReader(NaturalImage2DIO(), "RAS").read_images([file])
        assert np.array_equal(found, plain)
        assert same == properties
        assert orientation_record(same) is None

    def test_two_dimensional_nifti(self, tmp_path):
        file = str(tmp_path / "a.nii.gz")
        sitk.WriteImage(sitk.GetImageFromArray(np.arange(20, dtype=np.float32).reshape(4, 5)), file)
        found, properties = OrientedReader(SimpleITKIO(), "RAS").read_images([file])
        assert np.array_equal(found[0, 0], np.arange(20).reshape(4, 5))
        assert STORED not in properties

    def test_arrays_without_a_place(self):
        images, properties = np.zeros((1, 2, 3, 4)), {"spacing": [1.0, 1.0, 1.0]}
        assert oriented(images, properties, "RAS") == (images, properties)

    def test_models_without_an_orientation(self, write):
        images, properties = SimpleITKIO().read_images([write(image_of())])
        assert oriented(images, properties, None) == (images, properties)
        assert orientation_record(properties) == {"stored": "LPS", "model": None, "oblique_degrees": 15.0}


class TestBooks:
    @pytest.mark.parametrize(
        ("stored", "model", "angle", "words"),
        [
            ("RAS", "RAS", 0.2, ""),
            ("LPI", "RAS", 0.0, "LPI turned to RAS"),
            ("RAS", "RAS", 38.0, "38 degrees oblique"),
            ("LPI", "RAS", 12.5, "LPI turned to RAS, 12.5 degrees oblique"),
            ("LPI", None, 0.0, ""),
        ],
    )
    def test_words(self, stored, model, angle, words):
        assert orientation_in_words({"stored": stored, "model": model, "oblique_degrees": angle}) == words

    def test_a_turned_case(self, write):
        reader = OrientedReader(SimpleITKIO(), "RAS")
        _, properties = reader.read_images([write(reoriented(image_of(), "SAR"))])
        assert orientation_record(properties) == {"stored": "SAR", "model": "RAS", "oblique_degrees": 15.0}

    @pytest.mark.parametrize("make", READERS[2:])
    def test_a_reader_that_turns_images_itself(self, make, write):
        """Whether or not the model knows its orientation."""
        file = write(reoriented(image_of(), "SAR"))
        for reader in (make(), OrientedReader(make(), "RAS")):
            _, properties = reader.read_images([file])
            assert orientation_record(properties) == {"stored": "SAR", "model": "RAS", "oblique_degrees": 15.0}


class TestTwoForms:
    """A NIfTI header may say twice where the image lies; nnU-Net's readers do not always agree which one counts."""

    @pytest.mark.parametrize("make", READERS[:2])
    @pytest.mark.parametrize(("sform", "qform"), [(1, 1), (2, 1), (1, 4), (4, 4), (3, 0)])
    def test_sform_counts(self, make, sform, qform, tmp_path):
        """For ITK only a scanner's, code 1, beside a qform."""
        itk_takes_qform = make is SimpleITKIO and sform != 1 and qform != 0
        assert self._read(make, sform, qform, tmp_path) == ("RAS" if itk_takes_qform else "SPR")

    @pytest.mark.parametrize("make", READERS[:2])
    def test_qform_counts_alone(self, make, tmp_path):
        assert self._read(make, 0, 1, tmp_path) == "RAS"

    def _read(self, make, sform: int, qform: int, tmp_path) -> str:
        image = nibabel.Nifti1Image(np.arange(60, dtype=np.float32).reshape(3, 4, 5), None)
        other = np.array([[0, 0, 1.0, 0], [0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 1]])
        image.header.set_sform(other, code=sform)
        image.header.set_qform(np.eye(4), code=qform)
        nibabel.save(image, tmp_path / "a.nii.gz")
        found, properties = OrientedReader(make(), "LPS").read_images([str(tmp_path / "a.nii.gz")])
        stored = stored_orientation(properties)
        if make is SimpleITKIO:
            assert orientation_of(sitk.ReadImage(str(tmp_path / "a.nii.gz"))) == stored
        assert np.array_equal(as_stored(found, properties)[0], image.get_fdata().transpose(2, 1, 0))
        return stored
