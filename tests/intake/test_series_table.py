"""series.csv: written, corrected, read."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import DataError
from nnunet_hetero.intake.finding import find_series
from nnunet_hetero.intake.series_table import read_series, write_series
from nnunet_hetero.modalities import Modalities

BRATS = Modalities(("T1", "T1c", "T2", "FLAIR"))


@pytest.fixture
def cohort(tmp_path):
    for name in ("Fall 1, Ä/T1.nii.gz", "Fall 1, Ä/bild.nii.gz", "b/flair.mha"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(b"x")
    write_series(tmp_path / "out/series.csv", find_series(tmp_path / "in", BRATS))
    return tmp_path


def changed(cohort, *changes):
    file = cohort / "out/series.csv"
    text = file.read_text("utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    file.write_text(text, "utf-8")
    return file, cohort / "in", BRATS


def test_a_corrected_table_is_taken_as_given(cohort):
    change = ('bild.nii.gz",,T1|T1c|T2|FLAIR,doubtful', 'bild.nii.gz",t1C,T1|T1c|T2|FLAIR,doubtful')
    rows = read_series(*changed(cohort, change))
    assert [(row.case, row.source, row.modality) for row in rows] == [
        ("Fall 1, Ä", "Fall 1, Ä/T1.nii.gz", "T1"),
        ("Fall 1, Ä", "Fall 1, Ä/bild.nii.gz", "T1c"),
        ("b", "b/flair.mha", "FLAIR"),
    ]
    assert {row.confidence for row in rows} == {"given"} and not any(row.may_be for row in rows)


def test_as_a_spreadsheet_saves_it(cohort):
    (cohort / "out/series.csv").write_text(
        "\ufeffModality;Source;Case\nT1;Fall 1, Ä/T1.nii.gz;x\n;Fall 1, Ä/bild.nii.gz;x\n;b/flair.mha;b\n", "utf-8"
    )
    rows = read_series(cohort / "out/series.csv", cohort / "in", BRATS)
    assert [(row.case, row.modality) for row in rows] == [("x", "T1"), ("x", ""), ("b", "")]
    assert [row.may_be for row in rows] == [(), BRATS.names, ()]
    assert [row.own_case for row in rows] == ["Fall 1, Ä", "Fall 1, Ä", ""]  # a spreadsheet may make 1 of 001


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('T1.nii.gz",T1,', 'T1.nii.gz",T7,', r"row 2: Unknown modality 'T7'"),
        ("b/flair.mha", "b/flair2.mha", r"row 4: the source b/flair2\.mha is not in"),
        ("b,b/flair.mha", "b,../flair.mha", "leaves the input folder"),
        ("b,b/flair.mha", "b,/etc/flair.mha", "leaves the input folder"),
        ("\nb,", "\nb/c,", "no name of a case"),
        ("\nb,", "\n,", "no name of a case"),
        ('bild.nii.gz",,', 'bild.nii.gz",T1,', r"two rows for T1: .*T1\.nii\.gz and .*bild\.nii\.gz"),
        ("modality", "moodality", "has no column 'modality'"),
        ("b/flair.mha,FLAIR", '"Fall 1, Ä/T1.nii.gz",FLAIR', "stands in the rows"),
    ],
)
def test_mistakes(cohort, old, new, message):
    with pytest.raises(DataError, match=message):
        read_series(*changed(cohort, (old, new)))


def test_a_table_that_uses_nothing(cohort):
    change = ('T1.nii.gz",T1,', 'T1.nii.gz",,'), ("b/flair.mha,FLAIR", "b/flair.mha,")
    with pytest.raises(DataError, match="uses no image: the column modality is empty in each row"):
        read_series(*changed(cohort, *change))


def test_an_image_that_no_row_names(cohort):
    (cohort / "in/b/T1.nii.gz").write_bytes(b"x")
    with pytest.raises(DataError, match=r"has no row for b/T1\.nii\.gz, which is in"):
        read_series(*changed(cohort))
