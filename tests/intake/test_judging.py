"""Whether the images of a case may be used."""

from __future__ import annotations

import pytest
from helpers.cohorts.dicom_study import edit, write_study

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.judging import (
    Person,
    passed_over,
    require_decided,
    require_one_patient,
    require_one_session,
    taken_elsewhere,
)
from nnunet_hetero.intake.series import Series
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))
USED = Series("a", "a/t1.nii", "T1", "sure", "named so")


def test_a_doubt_counts_where_a_modality_lacks():
    doubtful = Series("a", "a/x.nii", "", "doubtful", "unclear", ("T1", "T2"))
    with pytest.raises(DataError, match=r"Case 'a' has no T2, but a/x\.nii could be it: unclear\. Say what it is"):
        require_decided([USED, doubtful], BRATS)
    require_decided([USED, Series("a", "a/x.nii", "", "doubtful", "unclear", ("T1",))], BRATS)
    require_decided([USED, Series("a", "a/x.nii", "", "given", "given", ("T2",))], BRATS)


def test_what_a_table_passes_over():
    """Only where the case lacks it, and only what a user has decided."""
    empty = Series("a", "a/x.nii", "", "given", "given", ("T1", "T2"))
    given = Series("a", "a/t1.nii", "T1", "given", "given")
    assert passed_over([given, empty, Series("b", "b/x.nii", "T2", "given", "given")]) == [(empty, ["T2"])]
    assert passed_over([given, empty, Series("a", "a/t2.nii", "T2", "given", "given")]) == []
    assert passed_over([given, Series("a", "a/x.nii", "", "doubtful", "unclear", ("T2",))]) == []


def test_a_case_without_any_modality():
    rows = [Series("a", f"a/{name}.nii", "", "sure", "a mask") for name in "xyzw"]
    with pytest.raises(
        DataError, match=r"of the modalities T1, T1c, T2, FLAIR\. Found: a/x\.nii \(a mask\); .*; and 1 more"
    ):
        require_decided(rows, BRATS)


def test_patients_of_a_case(tmp_path):
    write_study(tmp_path / "a/x", ["t1ce"])
    write_study(tmp_path / "a/y", ["t2"])
    rows = find_series(tmp_path, BRATS)
    require_one_patient(rows, tmp_path)
    other = next(row for row in rows if row.modality == "T2")
    for file in (tmp_path / other.place).iterdir():
        edit(file, PatientID="Somebody else")
    with pytest.raises(DataError, match=r"PatientIDs 'Müller 1' and 'Somebody else'.*--several-patients"):
        require_one_patient(rows, tmp_path)
    # A series that is not used does not count.
    require_one_patient([row for row in rows if row.modality != "T2"], tmp_path)
    for file in (tmp_path / other.place).iterdir():
        edit(file, PatientID="")
    require_one_patient([*rows, USED], tmp_path)


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        (Person("a"), Person("A"), "PatientIDs 'a' and 'A'"),
        (Person("0", "19700101", "x"), Person("0", "19500101", "x"), "PatientBirthDates 19700101 and 19500101"),
        (Person("", "", "x"), Person("a", "", "y"), "different PatientNames"),
        (Person("a", "", "x"), Person("a", "", "y"), None),
        (Person("", "19700101", "x"), Person("a", "", "x"), None),
        (Person(""), Person("a", "19700101", "x"), None),
    ],
)
def test_whether_two_are_one_person(one, other, words):
    found = [one.difference(other), other.difference(one)]
    assert found == [None, None] if words is None else words.split(" '")[0] in found[0] and found[1]


def test_patients_without_a_number(tmp_path):
    write_study(tmp_path / "a/x", ["t1ce"])
    write_study(tmp_path / "a/y", ["t2"])
    rows = find_series(tmp_path, BRATS)
    for row in rows:
        for file in (tmp_path / row.place).iterdir():
            name = "Else^Somebody" if row.modality == "T2" else "PHANTOM^anna"
            edit(file, PatientID="", PatientName=name)
    with pytest.raises(DataError, match="different PatientNames, and not both a PatientID") as error:
        require_one_patient(rows, tmp_path)
    assert "Somebody" not in str(error.value)
    require_one_patient([row for row in rows if row.modality != "T2"], tmp_path)


def test_images_that_a_table_takes_elsewhere():
    rows = [
        Series("1", "001/t1.nii", "T1", "given", "given", (), "001"),
        Series("1", "001/t2.nii", "T2", "given", "given", (), "001"),
        Series("b", "b/t1.nii", "T1", "given", "given"),
    ]
    assert taken_elsewhere(rows) == {("001", "1"): rows[:2]}


def test_sessions_of_a_case(tmp_path):
    rows = [Series("a", f"a/ses-{number}/{name}.nii", name, "sure", "") for number, name in enumerate(("T1", "T2"), 1)]
    with pytest.raises(DataError, match=r"a/ses-1/T1\.nii is of session 1, .* of session 2\..*--several-sessions"):
        require_one_session(rows, tmp_path)
    # A series that is not used does not count.
    require_one_session([rows[0], Series("a", "a/ses-2/T2.nii", "", "given", "")], tmp_path)


def test_a_reason_that_ends_with_a_full_stop():
    doubtful = Series("a", "a.zip", "", "doubtful", "it is damaged.", ("T1", "T2"))
    with pytest.raises(DataError, match=r"it is damaged\. Say what it is"):
        require_decided([USED, doubtful], BRATS)
