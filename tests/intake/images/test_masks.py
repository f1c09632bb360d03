"""Masks from programs and files; whatever is no mask is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import brighter_half, phantom_images

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.intake.images.masks import StripProgram, given_mask, masked

PROGRAM = """
import sys
import SimpleITK as sitk
image = sitk.ReadImage(sys.argv[1])
{body}
sitk.WriteImage(result, sys.argv[2])
"""


@pytest.fixture
def image():
    return phantom_images()["T1"]


@pytest.fixture
def program(tmp_path):
    """Writes a program of a few lines, with a blank in its name, and gives its command."""

    def write(body: str) -> StripProgram:
        file = tmp_path / "take off.py"
        file.write_text(PROGRAM.format(body=body), encoding="utf-8")
        return StripProgram.parse(f"'{sys.executable}' '{file}' {{input}} {{output}}")

    return write


@pytest.mark.parametrize("body", ["result = image > 0", "result = sitk.Mask(image, image > 0)"])
def test_a_mask_or_a_stripped_image(program, image, tmp_path, body):
    mask = program(body).mask(image, "a", tmp_path)
    assert np.array_equal(sitk.GetArrayFromImage(mask) > 0, sitk.GetArrayFromImage(image) > 0)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("print('no weights'); sys.exit(3)", "ended with the code 3. It said: no weights"),
        ("sys.exit(0)", "wrote no {output}"),
        ("result = image[:-1]", "on another grid: shape"),
        ("result = image * 2", "neither a mask"),
        ("result = image * 0", "kept nothing"),
        ("result = image * 0 + 1", "kept all"),
        ("open(sys.argv[2], 'w').write('x'); sys.exit()", "cannot be read"),
    ],
)
def test_a_program_that_fails(program, image, tmp_path, body, words):
    with pytest.raises(DataError, match=r"Case 'a': the program .* \(--strip\)") as caught:
        program(body).mask(image, "a", tmp_path)
    assert words in str(caught.value)


def test_a_program_that_is_not_there(image, tmp_path):
    with pytest.raises(SettingsError, match="cannot be run"):
        StripProgram.parse("no-such-program {input} {output}").mask(image, "a", tmp_path)


@pytest.mark.parametrize("text", ["hd-bet", "hd-bet -i {input}", "hd-bet '{input} {output}"])
def test_a_command_that_is_none(text):
    with pytest.raises(SettingsError, match="--strip"):
        StripProgram.parse(text)


def test_a_given_mask(image):
    assert sitk.GetArrayFromImage(given_mask((image > 0) * 7, "m")).max() == 1
    with pytest.raises(DataError, match="different values; a mask has two"):
        given_mask(image, "m")
    with pytest.raises(DataError, match="0 throughout"):
        given_mask(image * 0, "m")


def test_masking_keeps_type_and_voxels(image):
    mask = brighter_half(image)
    found = masked(image, mask)
    inside = sitk.GetArrayFromImage(mask) > 0
    values, before = sitk.GetArrayFromImage(found), sitk.GetArrayFromImage(image)
    assert found.GetPixelID() == image.GetPixelID()
    assert np.array_equal(values[inside], before[inside]) and not values[~inside].any()
