"""Where images show tissue; images that normalisation would flatten leave no trace, or are refused."""

from __future__ import annotations

import numpy as np
import pytest
from helpers.tiny_model import SHAPE, read_array, tiny_dataset_json, tiny_plans, write_case, write_image
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cases.find import find_cases
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.preprocess import PreparedCase, preprocess, read_case
from nnunet_hetero.cases.tissue import FOREGROUND, NOT_ZERO, background_notes, tissue, unpacked, warn_of_odd_backgrounds
from nnunet_hetero.errors import DataError
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))
ALL = (0, 1, 2, 3)


CT = {"percentile_00_5": -950.0}


def chest() -> np.ndarray:
    """Air, a body of 0 to 60 HU with a lung in it, whose middle is exactly 0."""
    image = np.full((16, 16, 16), -1000.0, np.float32)
    image[2:14, 2:14, 2:14] = np.random.default_rng(0).uniform(1, 60, (12, 12, 12))
    image[5:8, 5:8, 5:8] = -980
    image[10:12, 10:12, 10:12] = 0
    return image


class TestTissue:
    def test_zero_is_background_of_mr(self):
        image = chest()
        assert np.array_equal(tissue(image, "ZScoreNormalization", {}), image != 0)

    @pytest.mark.parametrize("low", [-950.0, -17.0, 10.0])
    def test_ct_has_no_holes_in_the_body(self, low):
        expected = np.zeros((16, 16, 16), bool)
        expected[2:14, 2:14, 2:14] = True
        assert np.array_equal(tissue(chest(), "CTNormalization", {"percentile_00_5": low}), expected)

    def test_fat_is_tissue_even_if_the_model_clips_it(self):
        image = chest()
        image[2:14, 2:14, 2] = -100
        assert tissue(image, "CTNormalization", {"percentile_00_5": -17.0})[5, 5, 2]

    def test_ct_of_a_skull_stripped_brain(self):
        image = np.maximum(chest(), 0)
        expected = np.zeros((16, 16, 16), bool)
        expected[2:14, 2:14, 2:14] = True
        assert np.array_equal(tissue(image, "CTNormalization", CT), expected)

    @pytest.mark.parametrize("scheme", ["ZScoreNormalization", "CTNormalization"])
    def test_notes(self, scheme):
        preparation = Preparation(*managers(scheme), tiny_dataset_json())
        image = np.pad(chest(), 2)  # outside of the scanner's field
        notes = background_notes(image[None], (1,), preparation)
        inside = unpacked(notes[FOREGROUND], image.shape)
        if scheme == "ZScoreNormalization":
            assert np.array_equal(inside, image != 0) and NOT_ZERO not in notes
        else:
            assert inside[4:16, 4:16, 4:16].all() and inside.sum() == 12**3
            assert np.array_equal(unpacked(notes[NOT_ZERO], image.shape), image != 0)


def managers(scheme, masked=True):
    content = tiny_plans(scheme=scheme)
    content["configurations"]["3d_fullres"]["use_mask_for_norm"] = [masked] * 4
    plans = PlansManager(content)
    return plans, plans.get_configuration("3d_fullres")


def prepare(folder, kept=ALL, scheme="ZScoreNormalization", masked=True) -> PreparedCase:
    (case,) = find_cases(folder, BRATS, ".nii.gz")
    preparation = Preparation(*managers(scheme, masked), tiny_dataset_json())
    return preprocess(read_case(case, BRATS, kept, preparation.reader()), preparation)


def assert_same(one: PreparedCase, other: PreparedCase) -> None:
    assert np.array_equal(one.data, other.data)
    assert one.used == other.used
    for key in ("bbox_used_for_cropping", "shape_after_cropping_and_before_resampling"):
        assert one.properties[key] == other.properties[key]
    assert all(np.array_equal(one.properties[key], other.properties[key]) for key in one.properties if "hetero" in key)


def head_mask(folder) -> np.ndarray:
    return sum(read_array(folder / f"a_{channel:04d}.nii.gz") != 0 for channel in ALL) > 0


def constant(folder):
    return np.full(SHAPE, 7, np.float32)


def awkward_constant(folder):
    """The float32 mean of many of these is not exactly this; divided by 1e-8 the rest is large."""
    return np.full(SHAPE, 0.1, np.float32)


def head(folder):
    return np.where(head_mask(folder), np.float32(9), np.float32(0))


def box(folder):
    image = np.zeros(SHAPE, np.float32)
    image[2:-2, 1:-1, 3:-3] = 4
    return image


@pytest.mark.parametrize("scheme", ["ZScoreNormalization", "NoNormalization", "CTNormalization"])
@pytest.mark.parametrize("make", [constant, awkward_constant])
def test_constant_image_leaves_no_trace(tmp_path, make, scheme):
    write_case(tmp_path, "a")
    write_image(tmp_path / "a_0001.nii.gz", make(tmp_path))
    prepared = prepare(tmp_path, scheme=scheme)
    assert prepared.absent == {1: "constant image"}
    assert_same(prepared, prepare(tmp_path, kept=(0, 2, 3), scheme=scheme))


@pytest.mark.parametrize(("make", "masked"), [(head, True), (box, False)])
def test_image_constant_where_it_is_normalised(tmp_path, make, masked):
    """A mask of the head in place of an image: constant inside nnU-Net's mask. Without masks: inside its box."""
    write_case(tmp_path, "a", present=(0, 2))
    for channel in (0, 2):
        file = tmp_path / f"a_{channel:04d}.nii.gz"
        write_image(file, np.where(box(tmp_path) > 0, read_array(file), 0))
    for channel in (1, 3):
        write_image(tmp_path / f"a_{channel:04d}.nii.gz", np.zeros(SHAPE, np.uint8))
    write_image(tmp_path / "a_0001.nii.gz", make(tmp_path))
    prepared = prepare(tmp_path, masked=masked)
    assert prepared.absent == {1: "constant image", 3: "empty image"}
    assert_same(prepared, prepare(tmp_path, kept=(0, 2), masked=masked))


def test_mask_that_is_not_constant_there_is_an_image_and_said(tmp_path, capsys):
    write_case(tmp_path, "a")
    image = np.zeros(SHAPE, np.uint8)
    image[8:12, 8:12, 8:12] = 1
    write_image(tmp_path / "a_0001.nii.gz", image)
    assert prepare(tmp_path).used == ALL
    assert "a_0001.nii.gz, has one value besides 0, as a mask has; taken as an image" in capsys.readouterr().out


def test_nothing_but_masks(tmp_path):
    write_image(tmp_path / "a_0000.nii.gz", box(tmp_path))
    with pytest.raises(DataError, match="constant, there is nothing to segment"):
        prepare(tmp_path)


@pytest.mark.parametrize(("scheme", "told"), [("ZScoreNormalization", True), ("CTNormalization", False)])
def test_background_that_is_not_zero_is_told(tmp_path, capsys, scheme, told):
    write_case(tmp_path, "a", present=(0, 1))
    preparation = Preparation(*managers(scheme), tiny_dataset_json())

    def printed() -> str:
        (case,) = find_cases(tmp_path, BRATS, ".nii.gz")
        warn_of_odd_backgrounds(read_case(case, BRATS, ALL, preparation.reader()), preparation)
        return capsys.readouterr().out

    assert printed() == ""
    file = tmp_path / "a_0001.nii.gz"
    image = read_array(file)
    write_image(file, np.where(image == 0, np.float32(-1000), image))
    assert printed().startswith("WARNING: Case 'a': T1c is -1000 in all corners and in") == told


@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_ct_beyond_what_the_normalisation_keeps(tmp_path, shift):
    write_case(tmp_path, "a", present=(0, 1))
    file = tmp_path / "a_0001.nii.gz"
    write_image(file, read_array(file) + np.float32(shift))
    with pytest.raises(DataError, match=r"all of T1c lies between .* between 1 and 9 only.*Hounsfield"):
        prepare(tmp_path, scheme="CTNormalization")
    assert prepare(tmp_path, kept=(0,), scheme="CTNormalization").used == (0,)
