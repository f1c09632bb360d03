from __future__ import annotations

import gzip

import numpy as np
import pytest
import SimpleITK as sitk
from helpers.tiny_dataset import threads_for_processes
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

from nnunet_hetero.cases.orientation import orientation_of, reoriented
from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError
from nnunet_hetero.reorient import data_set
from nnunet_hetero.reorient.data_set import reorient, undo
from nnunet_hetero.reorient.listing import mixture_in_words
from nnunet_hetero.reorient.record import RECORD_NAME


def images(folder) -> dict[str, sitk.Image]:
    return {file.relative_to(folder).as_posix(): sitk.ReadImage(str(file)) for file in folder.rglob("*.nii.gz")}


def contents(folder) -> dict[str, bytes]:
    return {str(file): gzip.decompress(file.read_bytes()) for file in folder.rglob("*.nii.gz")}


@pytest.mark.parametrize(("to", "turned"), [(None, 14), ("ras", 20), ("PIR", 29)])
def test_all_files_get_one_orientation(mixed, to, turned):
    before = images(mixed)
    done = reorient(mixed, to and to.upper(), progress=False)
    assert (done.to, len(done.turned), done.number) == ((to or "LPS").upper(), turned, 29)
    assert mixture_in_words(mixed) is None
    for name, image in images(mixed).items():
        expected = reoriented(before[name], done.to)
        assert orientation_of(image) == done.to
        assert np.array_equal(sitk.GetArrayFromImage(image), sitk.GetArrayFromImage(expected))
        np.testing.assert_allclose(image.GetOrigin(), expected.GetOrigin(), atol=1e-5)


def test_nnunet_finds_nothing_to_say(mixed, monkeypatch):
    threads_for_processes(monkeypatch)
    reorient(mixed, progress=False)
    verify_dataset_integrity(str(mixed), 1)


def test_what_lies_right_is_not_touched(mixed):
    stamps = {file: file.stat().st_mtime_ns for file in mixed.rglob("a*.nii.gz")}
    reorient(mixed, progress=False)
    assert {file: file.stat().st_mtime_ns for file in stamps} == stamps
    again = reorient(mixed, progress=False)
    assert again.turned == ()


def test_dry_run(mixed):
    before = contents(mixed)
    assert len(reorient(mixed, dry_run=True, progress=False).turned) == 14
    assert contents(mixed) == before
    assert not (mixed / RECORD_NAME).exists()


def test_undo_is_exact_after_several_turns(mixed):
    before = contents(mixed)
    for to in (None, "RAS", "SPL"):
        reorient(mixed, to, progress=False)
    assert undo(mixed, progress=False) == (29, [])
    assert contents(mixed) == before
    assert not (mixed / RECORD_NAME).exists()
    with pytest.raises(DataError, match="it has turned nothing here"):
        undo(mixed, progress=False)


def test_an_interrupted_run_is_finished_or_undone(mixed, monkeypatch):
    before = contents(mixed)
    turn_file, calls = data_set.turn_file, []

    def fails_at_the_third(*arguments):
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError(28, "No space left on device")
        turn_file(*arguments)

    for mend in (lambda: undo(mixed, progress=False), lambda: reorient(mixed, progress=False)):
        calls.clear()
        monkeypatch.setattr(data_set, "turn_file", fails_at_the_third)
        with pytest.raises(OSError, match="No space left"):
            reorient(mixed, processes=1, progress=False)
        monkeypatch.setattr(data_set, "turn_file", turn_file)
        assert mixture_in_words(mixed)
        mend()
    assert mixture_in_words(mixed) is None
    undo(mixed, progress=False)
    assert contents(mixed) == before


def test_an_image_that_was_replaced_stays(mixed):
    reorient(mixed, progress=False)
    replaced = mixed / "imagesTr" / "b_0000.nii.gz"
    sitk.WriteImage(sitk.GetImageFromArray(np.ones((4, 4, 4), np.float32)), str(replaced))
    number, kept = undo(mixed, progress=False)
    assert number == 13
    assert len(kept) == 1 and "b_0000.nii.gz is another image" in kept[0]


def test_files_elsewhere_are_not_touched(mixed, tmp_path):
    elsewhere = tmp_path / "elsewhere.nii.gz"
    link = mixed / "imagesTr" / "b_0000.nii.gz"
    link.rename(elsewhere)
    link.symlink_to(elsewhere)
    before = contents(mixed)
    with pytest.raises(DataError, match=r"outside of the data set.*Nothing was changed"):
        reorient(mixed, progress=False)
    assert contents(mixed) == before


def test_the_command(mixed, capsys):
    assert main(["reorient", "-d", "501", "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "LPS in 3 case(s), RAS in 1: b, SAR in 1: d" in said
    assert "14 of 29 file(s) would be turned to LPS" in said
    assert main(["reorient", "-d", "501"]) == 0
    assert "nnUNetv2_plan_and_preprocess -d 501" in capsys.readouterr().out
    assert main(["reorient", "-d", "501", "--undo"]) == 0
    assert "14 file(s) turned back" in capsys.readouterr().out
    for wrong in (["--to", "RAR"], ["--undo", "--to", "RAS"], ["--undo", "--dry-run"]):
        assert main(["reorient", "-d", "501", *wrong]) == 1
        assert "error: --" in capsys.readouterr().err
