"""What may be chosen, and what excludes itself."""

from __future__ import annotations

import json

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.intake.images.masks import StripProgram
from nnunet_hetero.intake.options import IntakeOptions, parse_reference
from nnunet_hetero.modalities import Modalities

MODALITIES = Modalities(("T1", "T1c", "FLAIR"))


def test_references():
    assert parse_reference(None, MODALITIES) == ()
    assert parse_reference("first", MODALITIES) == MODALITIES.names
    assert parse_reference("flair, t1", MODALITIES) == ("FLAIR", "T1")
    assert parse_reference(["t1c"], MODALITIES) == ("T1c",)


@pytest.mark.parametrize("text", ["T2", "T1,t1", "T1,,x"])
def test_references_that_are_none(text):
    with pytest.raises(SettingsError):
        parse_reference(text, MODALITIES)


def test_two_masks():
    with pytest.raises(SettingsError, match="exclude each other"):
        IntakeOptions(strip=StripProgram(("a", "{input}", "{output}")), mask="m.nii")


@pytest.mark.parametrize("other", [{"mask": "m.nii"}, {"keep_background": True}])
def test_a_common_brain_needs_images_without_skull(other):
    with pytest.raises(SettingsError, match="it excludes"):
        IntakeOptions(common_brain=True, **other)


def test_an_empty_name_of_a_mask():
    with pytest.raises(SettingsError, match="--mask is empty"):
        IntakeOptions(mask=" ")


def test_for_the_books():
    program = StripProgram(("a", "{input}", "{output}"))
    stored = json.loads(json.dumps(IntakeOptions(("T1",), strip=program).to_json()))
    assert stored["reference"] == ["T1"] and stored["strip"] == list(program.words) and stored["register"] is True
