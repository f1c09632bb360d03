"""Outputs of a prediction that would stand among its inputs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from nnunet_hetero.cases.find import Case
from nnunet_hetero.errors import SettingsError
from nnunet_hetero.inference.output_folder import alone_with, checked_outputs

WRITER = SimpleNamespace(
    modalities=("T1", "T1c"),
    preparation=SimpleNamespace(file_ending=".nii.gz"),
    expected=lambda case, _: [f"{case}.nii.gz", f"completed/{case}_0000.nii.gz"],
)


def cases(folder, *names) -> list[Case]:
    """Cases with one image each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}_0000.nii.gz").touch()
    return [Case(name, (str(folder / f"{name}_0000.nii.gz"), None)) for name in names]


class TestAlone:
    def test_of_two_only_one_is_at_work_on_a_case(self, tmp_path):
        first, second = ([str(tmp_path / "out" / case) for case in part] for part in ("AB", "BC"))
        with (
            alone_with(first),
            pytest.raises(SettingsError, match=r"at work in .*out \(.*, on B\)"),
            alone_with(second),
        ):
            pass
        with alone_with(first), alone_with(second[1:]), alone_with([None]):
            pass

    def test_a_name_without_a_folder(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with alone_with(["A"]), pytest.raises(SettingsError, match="at work"), alone_with([str(tmp_path / "A")]):
            pass


class TestFolder:
    def test_paths(self, tmp_path):
        found = checked_outputs(str(tmp_path / "out"), tmp_path / "in", cases(tmp_path / "in", "A", "B"), WRITER)
        assert found == [str(tmp_path / "out" / "A"), str(tmp_path / "out" / "B")]
        assert checked_outputs(None, tmp_path / "in", cases(tmp_path / "in", "A"), WRITER) == [None]

    @pytest.mark.parametrize("output", ["in", "in/below", "link", "in/../in"])
    def test_input_folder(self, output, tmp_path):
        (tmp_path / "link").symlink_to(tmp_path / "in")
        with pytest.raises(SettingsError, match="among the inputs"):
            checked_outputs(str(tmp_path / output), tmp_path / "in", cases(tmp_path / "in", "A", "A_0000"), WRITER)

    def test_folder_of_completed_images_as_input(self, tmp_path):
        folder = tmp_path / "out" / "completed"
        with pytest.raises(SettingsError, match="completed is the input folder"):
            checked_outputs(str(tmp_path / "out"), folder, cases(folder, "A"), WRITER)


class TestLists:
    def test_name_of_an_input(self, tmp_path):
        found = cases(tmp_path, "A", "A_0000")
        with pytest.raises(SettingsError, match=r"A_0000\.nii\.gz would be written, but it is the input"):
            checked_outputs(
                [str(tmp_path / case.name) for case in found], [case.files for case in found], found, WRITER
            )

    def test_input_that_looks_like_an_earlier_output(self, tmp_path):
        """It would be removed before the case is read."""
        (tmp_path / "completed").mkdir()
        image = tmp_path / "completed" / "A_0001.nii.gz"
        image.touch()
        found = [Case("A", (None, str(image)))]
        with pytest.raises(SettingsError, match=r"completed/A_0001\.nii\.gz would be written, but it is the input"):
            checked_outputs([str(tmp_path / "A")], [[None, str(image)]], found, WRITER)

    def test_same_name_twice(self, tmp_path):
        found = cases(tmp_path, "A", "B")
        with pytest.raises(SettingsError, match="Two cases would be written to the same file"):
            checked_outputs([str(tmp_path / "out")] * 2, [case.files for case in found], found, WRITER)

    def test_beside_the_inputs_under_other_names(self, tmp_path):
        found = cases(tmp_path, "A", "B")
        outputs = [str(tmp_path / f"{case.name}_segmentation") for case in found]
        assert checked_outputs(outputs, [case.files for case in found], found, WRITER) == outputs
