"""Values of headers, whatever scanners write there."""

from __future__ import annotations

import numpy as np
from pydicom.dataset import Dataset

from nnunet_hetero.intake.dicom.facts import facts_of, number, numbers, text, values


def header(**elements) -> Dataset:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def test_values():
    one = header(ImageType=["original", " primary "], EchoTime="3.5", PixelSpacing=[1, 2], ScanningSequence="SE")
    assert values(one, "ImageType") == ["original", "primary"]
    assert text(one, "SeriesDescription") == "" and number(one, "InversionTime") is None
    assert number(one, "EchoTime") == 3.5
    assert np.array_equal(numbers(one, "PixelSpacing", 2), [1, 2])
    assert numbers(one, "PixelSpacing", 3) is None and numbers(one, "ImageType", 2) is None
    assert values(header(EchoTime=None, ContrastBolusAgent=""), "EchoTime") == []


def test_a_series():
    directions = ([1, 0, 0, 0, 1, 0], [1, 0, 0, 0, 1, 1e-4], [1, 0, 0, 0, 0, 1])
    headers = [header(Modality="MR", ImageOrientationPatient=list(cosines)) for cosines in directions]
    headers[1].DiffusionBValue = 1000.0
    headers[0].NumberOfFrames = 3
    facts = facts_of(headers, "S1")
    assert (facts.modality, facts.images, facts.orientations, facts.b_value) == ("MR", 5, 2, 1000.0)
    assert facts.folder == "S1" and not facts.is_derived
