"""Pages of an evaluation: what each subset says, and the links to them from the reports."""

from __future__ import annotations

import shutil

import pytest
from helpers.tiny_model import read_array, write_image

from nnunet_hetero.cli.main import main
from nnunet_hetero.errors import DataError
from nnunet_hetero.viewer.evaluation_folder import EvaluationFolder

MODEL = ("-d", "501", "-c", "3d_fullres", "-f", "0", "-device", "cpu", "--disable_tta", "--disable_progress_bar")
SUBSETS = ("--subsets", "T1", "T1+T2", "T1+T1c+T2+FLAIR")


@pytest.fixture(scope="module")
def evaluation(tiny_model, tmp_path_factory):
    """An evaluation of three cases with pages, and what it was made from."""
    root = tmp_path_factory.mktemp("evaluation")
    for folder, of in (("in", tiny_model.images), ("gt", tiny_model.labels)):
        (root / folder).mkdir()
        for file in of.iterdir():
            if file.name.startswith(("case_00", "case_01", "case_02")):
                shutil.copy(file, root / folder)
    folders = ("-i", root / "in", "-l", root / "gt", "-o", root / "out")
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in tiny_model.environment().items():
            monkeypatch.setenv(name, value)
        assert main(["evaluate", *MODEL, *SUBSETS, *map(str, folders), "--view"]) == 0
    return root


def test_every_subset_and_the_truth(evaluation):
    view = EvaluationFolder(evaluation / "out").view("case_00")
    assert list(view.subsets) == ["T1", "T1+T2", "T1+T1c+T2+FLAIR"]
    assert (view.prediction.data == view.subsets["T1+T1c+T2+FLAIR"].data).all() and view.truth is not None
    assert [entry.name for entry in view.backgrounds] == ["T1", "T1c", "T2", "FLAIR"]
    assert [name for name, _ in view.facts["Mean Dice over the subsets, %"]] == list(view.regions)


def test_the_report_leads_to_the_pages(evaluation):
    out = evaluation / "out"
    pages = {file.name for file in (out / "view").iterdir()}
    assert "index.html" in pages and len(pages) == 4
    report = (out / "report.html").read_text(encoding="utf-8")
    assert "Pages to look at cases" in report and 'href="view/index.html"' in report
    for page in pages - {"index.html"}:
        assert f'href="view/{page}"' in report
    assert "&lt;a href" not in report


def test_view_knows_an_evaluation(evaluation, tmp_path):
    page = tmp_path / "page.html"
    assert main(["view", str(evaluation / "out"), "--case", "case_01", "-o", str(page)]) == 0
    assert "T1+T2" in page.read_text(encoding="utf-8")


def test_what_is_gone_is_said_on_the_page(evaluation, tmp_path):
    files = [evaluation / "in" / "case_00_0001.nii.gz", evaluation / "gt" / "case_00.nii.gz"]
    for file in files:
        shutil.move(file, tmp_path / file.name)
    try:
        view = EvaluationFolder(evaluation / "out").view("case_00")
    finally:
        for file in files:
            shutil.move(tmp_path / file.name, file)
    assert [entry.name for entry in view.backgrounds] == ["T1", "T2", "FLAIR"] and view.truth is None
    assert len(view.warnings) == 2
    for file in files:
        assert any(str(file) in warning and "gone since the evaluation" in warning for warning in view.warnings)


def test_an_image_that_is_not_the_evaluated_one_is_named(evaluation, tmp_path):
    file = evaluation / "in" / "case_00_0002.nii.gz"
    shutil.copy2(file, tmp_path)
    assert EvaluationFolder(evaluation / "out").view("case_00").warnings == []
    shutil.copyfile(evaluation / "in" / "case_01_0002.nii.gz", file)
    try:
        (warning,) = EvaluationFolder(evaluation / "out").view("case_00").warnings
    finally:
        shutil.copy2(tmp_path / file.name, file)
    assert str(file) in warning and "written anew" in warning


def test_an_absent_modality_is_no_black_image(evaluation, tmp_path):
    """In a data set of nnU-Net's a modality that a case lacks is a volume of zeros."""
    file = evaluation / "in" / "case_00_0003.nii.gz"
    shutil.copy2(file, tmp_path)
    write_image(file, 0 * read_array(file))
    try:
        view = EvaluationFolder(evaluation / "out").view("case_00")
    finally:
        shutil.copy2(tmp_path / file.name, file)
    assert [entry.name for entry in view.backgrounds] == ["T1", "T1c", "T2"]


def test_truth_on_another_grid(evaluation, tmp_path):
    file = evaluation / "gt" / "case_00.nii.gz"
    shutil.copy2(file, tmp_path)
    write_image(file, read_array(file), spacing=2.0)
    try:
        with pytest.raises(DataError, match="Case 'case_00': the true label map lies on another grid"):
            EvaluationFolder(evaluation / "out").view("case_00")
    finally:
        shutil.copy2(tmp_path / file.name, file)


@pytest.mark.parametrize("flag", ["--images", "--labels", "--predictions"])
def test_folders_of_a_prediction_are_refused(evaluation, capsys, flag):
    assert main(["view", str(evaluation / "out"), flag, str(evaluation / "in")]) == 1
    assert "is an evaluation" in capsys.readouterr().err


def test_images_that_are_gone(evaluation, tmp_path):
    moved = shutil.copytree(evaluation / "out", tmp_path / "out")
    with pytest.raises(DataError, match="Case 'case_09'"):
        EvaluationFolder(moved).view("case_09")
    shutil.move(evaluation / "in", tmp_path / "elsewhere")
    try:
        with pytest.raises(DataError, match="images are gone"):
            EvaluationFolder(moved).view("case_00")
    finally:
        shutil.move(tmp_path / "elsewhere", evaluation / "in")
