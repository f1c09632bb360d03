"""``nnunet_hetero return`` from its command line."""

from __future__ import annotations

import SimpleITK as sitk
from helpers.cohorts.moved_case import moved_case, phantom_images, target, write_moved_cases

from nnunet_hetero.cases.orientation import reoriented
from nnunet_hetero.cli.main import main
from nnunet_hetero.intake.cohort.run import proposed_series, take_in
from nnunet_hetero.intake.options import IntakeOptions


def test_there_and_back(tmp_path, capsys):
    write_moved_cases(tmp_path / "in", ("a", "b"), leave_out=("T1c", "T2"))
    series = proposed_series(tmp_path / "in", tmp_path / "out", target(), None)
    take_in(series, tmp_path / "in", tmp_path / "out", target(), IntakeOptions(register=False))
    (tmp_path / "pred").mkdir()
    sitk.WriteImage(reoriented(phantom_images()["seg"], "RAS"), str(tmp_path / "pred" / "a.nii.gz"))
    command = ["return", "--intake", str(tmp_path / "out"), "--predictions", str(tmp_path / "pred"), "-np", "0"]
    assert main([*command, "-o", str(tmp_path / "back"), "--to", "FLAIR"]) == 1
    printed = capsys.readouterr().out
    assert "a: on FLAIR" in printed and "Left out: Case 'b' has no label map" in printed
    found = sitk.ReadImage(str(tmp_path / "back" / "a" / "segmentation_on_FLAIR.nii.gz"))
    assert found.GetSize() == moved_case()["FLAIR"].GetSize()
    assert main([*command, "-o", str(tmp_path / "back"), "--to", "FLAIR"]) == 1
    assert "1 case(s) in" in (printed := capsys.readouterr().out) and "1 of them from an earlier run" in printed
