"""``nnunet_hetero intake`` from its command line."""

from __future__ import annotations

import pytest
import SimpleITK as sitk
from helpers.cohorts.moved_case import FILES, phantom_images

from nnunet_hetero.cli.main import main


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "in" / "a").mkdir(parents=True)
    for name in ("T1", "FLAIR"):
        sitk.WriteImage(phantom_images()[name], str(tmp_path / "in" / "a" / f"a_{FILES[name]}.nii.gz"))
    sitk.WriteImage(phantom_images()["T2"], str(tmp_path / "in" / "a" / "scan.nii.gz"))
    return tmp_path / "in"


def _run(folder, model, *flags):
    return main(["intake", "-i", str(folder), "-o", str(folder.parent / "out"), "-m", str(model), "-np", "0", *flags])


def test_a_proposal_its_correction_and_the_images(folder, model, capsys):
    out = folder.parent / "out"
    assert _run(folder, model, "--dry-run") == 0
    assert sorted(file.name for file in out.iterdir()) == ["series.csv"]
    assert "a: a/scan.nii.gz is not used, but may be" in capsys.readouterr().out
    assert _run(folder, model) == 1  # it may be T1c, or T2
    assert "Case 'a' has no T1c, but a/scan.nii.gz could be it" in capsys.readouterr().out
    table = folder.parent / "corrected.csv"
    text = (out / "series.csv").read_text()
    table.write_text(text.replace("a/scan.nii.gz,,", "a/scan.nii.gz,t2,"))
    assert _run(folder, model, "--series", str(table)) == 0
    assert sorted(file.name for file in (out / "images").iterdir()) == [f"a_{n:04d}.nii.gz" for n in (0, 2, 3)]
    printed = capsys.readouterr().out
    assert "a: T1 reference, T2 same grid, FLAIR same grid" in printed and "as the table says" not in printed
    assert _run(folder, model, "--series", str(out / "series.csv")) == 0  # as it was proposed
    words = "a: a/scan.nii.gz is not used, as the table says, but may be T1c or T2, which the case lacks."
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-d", "501"), "Name its folder by -m, or its data set by -d"),
        (("--strip", "hd-bet"), "--strip 'hd-bet' does not say where {input}"),
        (("--reference", "T9"), "Unknown modality 'T9'"),
        (("--strip", "a {input} {output}", "--mask", "m"), "exclude each other"),
    ],
)
def test_flags_that_are_wrong(folder, model, capsys, flags, words):
    assert _run(folder, model, *flags) == 1
    assert words in capsys.readouterr().err


def test_no_such_folder(folder, model, capsys):
    assert _run(folder / "no", model) == 1
    assert "does not exist" in capsys.readouterr().err
