"""Codes of what models segment."""

from __future__ import annotations

import pytest

from nnunet_hetero.intake.dicom.concepts import _CODES, ABNORMAL, SCHEME, TISSUE, coded

pydicom_codes = pytest.importorskip("pydicom.sr._concepts_dict").concepts


@pytest.mark.parametrize(
    ("names", "code"),
    [
        (("whole_tumor", "Whole Tumour", "WT"), "108369006"),
        (("enhancing_tumor", "enhancing tumour", "ET"), "C113842"),
        (("necrotic_core", "necrosis", "NCR"), "6574001"),
        (("edema", "oedema", "peritumoral_oedema", "ED"), "79654002"),
    ],
)
def test_names(names, code):
    assert {coded(name).kind[0] for name in names} == {code}
    assert not any(coded(name).is_private for name in names)


def test_other_names_get_a_private_code():
    """Not one that is nearly right: a core is no whole tumour."""
    for name in ("tumor_core", "Nekrose und mehr", "left ventricle"):
        assert coded(name).kind == (name, SCHEME, name) and coded(name).is_private
    assert len(SCHEME) <= 16 and SCHEME.startswith("99")


@pytest.mark.parametrize("concept", [*_CODES, ABNORMAL, TISSUE])
def test_codes_are_those_of_the_standard(concept):
    code, scheme, meaning = concept
    meanings = [entry[code][0] for entry in pydicom_codes[scheme].values() if code in entry]
    assert meaning in meanings
