"""Values of headers, whatever scanners write there."""

from __future__ import annotations

import numpy as np
from helpers.cohorts.dicom_study import header

from nnunet_hetero.intake.dicom.values import number, numbers, text, values


def test_values():
    one = header(ImageType=["ORIGINAL", "PRIMARY "], EchoTime="3.5", PixelSpacing=[1, 2], ScanningSequence="SE")
    assert values(one, "ImageType") == ["ORIGINAL", "PRIMARY"]
    assert text(one, "SeriesDescription") == "" and number(one, "InversionTime") is None
    assert number(one, "EchoTime") == 3.5
    assert np.array_equal(numbers(one, "PixelSpacing", 2), [1, 2])
    assert numbers(one, "PixelSpacing", 3) is None and numbers(one, "ImageType", 2) is None
    assert values(header(EchoTime=None, ContrastBolusAgent=""), "EchoTime") == []
