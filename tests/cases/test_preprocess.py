"""Reading, checking and preprocessing of cases whose modalities may be absent."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
from helpers.tiny_model import SHAPE, read_array, tiny_dataset_json, tiny_plans, write_case, write_image
from nnunetv2.imageio.nibabel_reader_writer import NibabelIO
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO, SimpleITKIOWithReorient
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.find import find_cases
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.preprocess import preprocess, read_case, read_image
from nnunet_hetero.errors import DataError
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))
ALL = (0, 1, 2, 3)


def read(folder, kept=ALL, reader=SimpleITKIO):
    (case,) = find_cases(folder, BRATS, ".nii.gz")
    return read_case(case, BRATS, kept, reader())


def prepare(folder, kept=ALL, scheme="ZScoreNormalization"):
    (case,) = find_cases(folder, BRATS, ".nii.gz")
    plans = PlansManager(tiny_plans(scheme=scheme))
    images = read_case(case, BRATS, kept, plans.image_reader_writer_class())
    return preprocess(images, Preparation(plans, plans.get_configuration("3d_fullres"), tiny_dataset_json()))


class TestRead:
    def test_absent_for_three_reasons(self, tmp_path):
        write_case(tmp_path, "a", present=(0, 1, 2))
        write_image(tmp_path / "a_0001.nii.gz", np.zeros(SHAPE, np.uint8))
        images = read(tmp_path, kept=(0, 1, 3))
        assert images.used == (0,)
        assert images.absent == {1: "empty image", 2: "switched off", 3: "no file"}
        assert (images.data[0] == read_array(tmp_path / "a_0000.nii.gz")).all()
        assert not images.data[1:].any()

    def test_switched_off_file_is_not_opened(self, tmp_path):
        write_case(tmp_path, "a", present=(0,))
        (tmp_path / "a_0001.nii.gz").write_bytes(b"no image")
        assert read(tmp_path, kept=(0, 2, 3)).used == (0,)

    def test_empty_image_may_lie_anywhere(self, tmp_path):
        write_case(tmp_path, "a", present=(0,))
        write_image(tmp_path / "a_0001.nii.gz", np.zeros((3, 4, 5), np.uint8))
        assert read(tmp_path).absent[1] == "empty image"

    @pytest.mark.parametrize(("present", "kept"), [((0, 1), (2, 3)), ((0,), (1, 2, 3))])
    def test_no_modality_left(self, tmp_path, present, kept):
        write_case(tmp_path, "a", present=present)
        with pytest.raises(DataError, match=r"Case 'a' has no modality left \(T1: switched off, .*FLAIR: no file"):
            read(tmp_path, kept)

    def test_only_empty_images(self, tmp_path):
        write_image(tmp_path / "a_0000.nii.gz", np.zeros(SHAPE, np.uint8))
        with pytest.raises(DataError, match="no modality left"):
            read(tmp_path)


def bad_shape(file, image):
    write_image(file, image[1:])


def bad_spacing(file, image):
    write_image(file, image, spacing=1.1)


def bad_origin(file, image):
    write_image(file, image, origin=(0, 5, 0))


def bad_direction(file, image):
    write_image(file, image, direction=(-1, 0, 0, 0, -1, 0, 0, 0, 1))


def four_dimensions(file, image):
    nibabel.save(nibabel.Nifti1Image(np.stack([image.T, image.T], axis=-1), np.eye(4)), file)


def not_a_number(file, image):
    image[2, 3, 4:6] = np.nan
    write_image(file, image)


def infinite(file, image):
    image[2, 3, 4] = -np.inf
    write_image(file, image)


def truncated(file, image):
    file.write_bytes(file.read_bytes()[:-200])


def last_bytes_missing(file, image):
    file.write_bytes(file.read_bytes()[:-4])


def not_an_image(file, image):
    file.write_bytes(b"\x1f\x8b nothing")


def link_to_nothing(file, _):
    file.unlink()
    file.symlink_to("nowhere.nii.gz")


def complex_numbers(file, image):
    nibabel.save(nibabel.Nifti1Image((image.T * (1 + 1j)).astype(np.complex64), np.diag([-1, -1, 1, 1])), file)


@pytest.mark.parametrize("reader", [SimpleITKIO, NibabelIO])
class TestBadFiles:
    @pytest.mark.parametrize(
        ("damage", "message"),
        [
            (bad_shape, r"another grid than T1: shape \(22, 18, 19\) instead of \(22, 18, 20\)"),
            (bad_spacing, r"another grid than T1: spacing "),
            (bad_origin, r"another grid than T1: origin "),
            (bad_direction, r"another grid than T1: direction "),
            (four_dimensions, r"(2 image\(s\) in a 4D|only 3d images)"),
            (not_a_number, r"2 voxel\(s\) that are NaN or infinite"),
            (infinite, r"1 voxel\(s\) that are NaN or infinite"),
            (truncated, "damaged or truncated"),
            (last_bytes_missing, "damaged or truncated"),
            (not_an_image, "damaged or truncated"),
            (link_to_nothing, "is a link to nowhere.nii.gz, which is not there"),
            (complex_numbers, "has complex numbers"),
        ],
    )
    def test_error_names_case_channel_and_file(self, tmp_path, reader, damage, message):
        write_case(tmp_path, "a")
        file = tmp_path / "a_0002.nii.gz"
        damage(file, read_array(file))
        with pytest.raises(DataError, match=message) as caught:
            read(tmp_path, reader=reader)
        assert str(caught.value).startswith(f"Case 'a': channel 2 (T2), file {file}")

    def test_rounding_of_headers_is_no_other_grid_and_is_told(self, tmp_path, reader, capsys):
        write_case(tmp_path, "a")
        file = tmp_path / "a_0002.nii.gz"
        write_image(file, read_array(file), spacing=1.00001, origin=(0, 0.0004, 0))
        assert read(tmp_path, reader=reader).used == ALL
        (line,) = capsys.readouterr().out.splitlines()
        assert line.startswith(f"Case 'a': channel 2 (T2), file {file}, lies off T1 by up to 0.00064 of a voxel edge")
        write_image(file, read_array(file), origin=(0, 0.06, 0))
        with pytest.raises(DataError, match="another grid than T1"):
            read(tmp_path, reader=reader)
        write_image(file, read_array(file))
        read(tmp_path, reader=reader)
        assert capsys.readouterr().out == ""


def test_reader_that_turns_images_names_their_orientation(tmp_path):
    write_case(tmp_path, "a")
    assert read(tmp_path, reader=SimpleITKIOWithReorient).used == ALL


def test_four_dimensions_with_one_volume(tmp_path):
    """nnU-Net reads such a file, and fails when it exports the result."""
    file = tmp_path / "a_0000.mha"
    write_image(file, np.ones((1, 4, 5, 6), np.float32))
    with pytest.raises(DataError, match="4D"):
        read_image(str(file), "Case 'a'", lambda path: SimpleITKIO().read_images([path]))


class TestPreprocess:
    @pytest.mark.parametrize("spacing", [0.001, 1000])
    def test_unit_that_cannot_be_right(self, tmp_path, spacing):
        write_case(tmp_path, "a", spacing=spacing)
        with pytest.raises(DataError, match=r"Case 'a': its images measure .* model's voxels, 1 x 1 x 1 mm"):
            prepare(tmp_path)

    @pytest.mark.parametrize("scheme", ["ZScoreNormalization", "CTNormalization", "NoNormalization"])
    def test_absent_channels_are_exactly_zero(self, tmp_path, scheme):
        write_case(tmp_path, "a", present=(1, 3))
        prepared = prepare(tmp_path, scheme=scheme)
        assert prepared.used == (1, 3)
        assert not prepared.data[[0, 2]].any()
        assert prepared.data[[1, 3]].any(axis=(1, 2, 3)).all()

    def test_only_the_used_images_decide_the_crop(self, tmp_path):
        """FLAIR's head is larger than T1's; switched off, it must not leave a trace."""
        write_case(tmp_path / "full", "a")
        write_case(tmp_path / "t1", "a", present=(0,))
        everything = prepare(tmp_path / "full")
        switched_off = prepare(tmp_path / "full", kept=(0,))
        absent = prepare(tmp_path / "t1")
        assert (switched_off.data == absent.data).all()
        assert switched_off.properties["bbox_used_for_cropping"] == absent.properties["bbox_used_for_cropping"]
        assert everything.properties["bbox_used_for_cropping"] != absent.properties["bbox_used_for_cropping"]

    def test_restricting_is_the_same_as_switching_off(self, tmp_path):
        write_case(tmp_path, "a")
        plans = PlansManager(tiny_plans())
        configuration = plans.get_configuration("3d_fullres")
        restricted = preprocess(
            read(tmp_path).restricted_to((1,)), Preparation(plans, configuration, tiny_dataset_json())
        )
        assert (restricted.data == prepare(tmp_path, kept=(1,)).data).all()
        assert restricted.absent == {0: "switched off", 2: "switched off", 3: "switched off"}

    def test_constant_image_counts_as_absent(self, tmp_path):
        write_case(tmp_path, "a")
        write_image(tmp_path / "a_0001.nii.gz", np.full(SHAPE, 7, np.uint8))
        prepared = prepare(tmp_path)
        assert (prepared.used, prepared.absent) == ((0, 2, 3), {1: "constant image"})
        with pytest.raises(DataError, match="constant"):
            prepare(tmp_path, kept=(1,))
