"""``nnunet_hetero view`` and ``predict --view`` as a user calls them."""

from __future__ import annotations

import pytest
from helpers.looking.viewed import write_viewed
from helpers.tiny_model import write_case

from nnunet_hetero.cli.main import main
from nnunet_hetero.viewer import niivue

MODEL = ("-d", "501", "-c", "3d_fullres", "-f", "0")
QUICK = ("-device", "cpu", "--disable_tta", "--disable_progress_bar", "-npp", "0", "-nps", "0", "--num_samples", "2")


@pytest.fixture
def files(tmp_path):
    write_viewed(tmp_path, "b")
    return write_viewed(tmp_path, "a")


def view(files, *flags) -> int:
    return main(["view", str(files.output), *map(str, flags)])


class TestView:
    def test_all_cases(self, files, capsys):
        assert view(files, "--images", files.images, "--labels", files.labels) == 0
        names = sorted(file.name for file in (files.output / "view").iterdir())
        assert names == ["a.html", "b.html", "index.html"]
        assert "index.html" in capsys.readouterr().out

    def test_one_page_where_the_user_wants_it(self, files, tmp_path):
        assert view(files, "--case", "a", "--images", files.images, "-o", tmp_path / "there" / "page.html") == 0
        assert (tmp_path / "there" / "page.html").is_file() and not (files.output / "view").exists()

    def test_a_file_of_another_kind_is_not_replaced(self, files, capsys):
        image = files.images / "a_0000.nii.gz"
        before = image.read_bytes()
        assert view(files, "--case", "a", "--images", files.images, "-o", image) == 1
        assert "is there already, and is not a page (HTML)" in capsys.readouterr().err and image.read_bytes() == before

    def test_for_slicer(self, files, tmp_path):
        assert view(files, "--images", files.images, "--slicer", tmp_path / "scene") == 0
        assert (tmp_path / "scene" / "a" / "regions.seg.nrrd").is_file()

    @pytest.mark.parametrize(
        ("flags", "words"),
        [
            (("--images", "/nowhere"), "--images /nowhere is no folder"),
            (("-o", "page.html"), "-o names one page, but there are 2 cases"),
            (("--case", "c"), "Case 'c'"),
            (("--slicer", "scene", "-o", "page.html"), "Give one of them"),
            (("--predictions", "."), "Case 'a': no folder in . holds a.nii.gz"),
            (("--labels", "/nowhere"), "--labels /nowhere is no folder"),
        ],
    )
    def test_what_is_wrong_is_said(self, files, capsys, flags, words):
        assert view(files, *flags) == 1
        assert words in capsys.readouterr().err

    def test_no_folder(self, tmp_path, capsys):
        assert main(["view", str(tmp_path / "nowhere")]) == 1
        assert "is no folder" in capsys.readouterr().err

    def test_one_case_without_a_page_is_named_and_the_exit_code_is_one(self, files, capsys):
        (files.images / "a_0000.nii.gz").unlink()
        (files.labels / "a.nii.gz").unlink()
        assert view(files, "--images", files.images, "--labels", files.labels) == 1
        assert "Case 'a'" in capsys.readouterr().err and (files.output / "view" / "b.html").is_file()


class TestPredict:
    def predict(self, folder, *flags) -> int:
        arguments = ["predict", "-i", str(folder / "in"), "-o", str(folder / "out"), *MODEL, *QUICK, "--view", *flags]
        try:
            return main(arguments) or 0
        except SystemExit as end:
            return end.code

    def test_pages_beside_the_segmentations(self, nnunet_folders, tmp_path):
        write_case(tmp_path / "in", "a", present=(0, 2))
        assert self.predict(tmp_path, "--save_completed", "--save_uncertainty") == 0
        page = (tmp_path / "out" / "view" / "a.html").read_text(encoding="utf-8")
        assert "mutual information" in page and "absent: no file" in page
        assert (tmp_path / "out" / "view" / "index.html").is_file()

    def test_what_the_pages_need_is_asked_for_before_the_work(self, nnunet_folders, tmp_path, monkeypatch, capsys):
        write_case(tmp_path / "in", "a")
        niivue.packed_script.cache_clear()
        monkeypatch.setattr(niivue, "PLACE", "moved.js")
        assert self.predict(tmp_path) == 1
        assert "--view" in capsys.readouterr().err and not (tmp_path / "out").exists()
        niivue.packed_script.cache_clear()
