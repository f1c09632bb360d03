"""All-zero volumes where a file is not there: their grid, dataset.json, a second run, and the way back."""

from __future__ import annotations

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.cohorts.gaps import MISSING, files_of, fill, snapshot
from helpers.tiny_model import SHAPE, read_array, tiny_dataset_json, write_case, write_image, write_json
from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity

from nnunet_hetero.cases.raw_dataset import read_dataset_json
from nnunet_hetero.errors import DataError
from nnunet_hetero.fill_gaps import fill as fill_module
from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.fill_gaps.fill import fill_gaps, undo
from nnunet_hetero.fill_gaps.record import RECORD_NAME
from nnunet_hetero.fill_gaps.table import gaps_in_words


class TestFilling:
    def test_every_case_has_every_file_and_the_gaps_are_listed(self, dataset):
        before = snapshot(dataset)
        gaps = fill(dataset)
        assert gaps.missing == MISSING == read_dataset_json(dataset)["missing_modalities"]
        assert gaps.written == 3 and gaps.warnings == ()
        after = snapshot(dataset)
        written = {"imagesTr/a_0001.nii.gz", "imagesTr/c_0000.nii.gz", "imagesTr/c_0003.nii.gz"}
        assert after.keys() - before.keys() == {RECORD_NAME, *written}
        assert all(not read_array(dataset / name).any() for name in written)
        assert {name: content for name, content in after.items() if name in before and name != "dataset.json"} == {
            name: content for name, content in before.items() if name != "dataset.json"
        }

    def test_the_header_is_that_of_the_case(self, dataset):
        """Of an oblique, scaled image, whose two transforms have codes of their own."""
        affine = np.array([[0.9, 0.1, 0, -7], [-0.1, 1.1, 0, 3], [0, 0.05, 2.5, 11], [0, 0, 0, 1]])
        for file in [*files_of(dataset, "a"), dataset / "labelsTr" / "a.nii.gz"]:
            if file.exists():
                image = nibabel.Nifti1Image(np.asarray(nibabel.load(file).dataobj), affine)
                image.set_qform(affine, 2)
                image.set_sform(affine, 4)
                image.header.set_slope_inter(1, 0)
                nibabel.save(image, file)
        fill(dataset)
        zero, real = (nibabel.load(file) for file in (files_of(dataset, "a")[1], files_of(dataset, "a")[0]))
        np.testing.assert_array_equal(zero.affine, real.affine)
        differing = {key for key in zero.header if zero.header[key].tobytes() != real.header[key].tobytes()}
        assert differing <= {"datatype", "bitpix", "descrip", "scl_slope", "scl_inter"}
        assert zero.get_data_dtype() == np.uint8 and bytes(zero.header["descrip"]).startswith(b"absent modality")
        assert files_of(dataset, "a")[1].stat().st_size < 1000

    def test_nnunet_accepts_the_data_set(self, dataset, monkeypatch, capsys):
        from helpers.tiny_dataset import threads_for_processes

        threads_for_processes(monkeypatch)
        with pytest.raises(RuntimeError):
            verify_dataset_integrity(str(dataset), 1)
        fill(dataset)
        verify_dataset_integrity(str(dataset), 1)
        assert "most likely OK" in capsys.readouterr().out

    def test_dry_run_writes_nothing(self, dataset):
        before = snapshot(dataset)
        gaps = fill(dataset, dry_run=True)
        assert (gaps.missing, gaps.written) == (MISSING, 3)
        assert snapshot(dataset) == before

    def test_second_run_changes_nothing(self, dataset):
        fill(dataset)
        before = snapshot(dataset)
        gaps = fill(dataset)
        assert (gaps.missing, gaps.written) == (MISSING, 0)
        assert snapshot(dataset) == before

    def test_gaps_of_a_converter_stay_listed(self, dataset):
        content = read_dataset_json(dataset)
        write_json(dataset / "dataset.json", {**content, "missing_modalities": {"b": ["T2"], "c": ["T2"]}})
        expected = {"a": ["T1c"], "b": ["T2"], "c": ["T1", "T2", "FLAIR"]}
        assert fill(dataset).missing == expected
        undo(CaseFolder.of_dataset(dataset))
        assert read_dataset_json(dataset)["missing_modalities"] == {"b": ["T2"], "c": ["T2"]}

    def test_an_image_that_replaced_a_zero_volume_is_an_image(self, dataset):
        fill(dataset)
        image = files_of(dataset, "c")[0]
        shutil.copy(files_of(dataset, "c")[1], image)
        assert (
            fill(dataset).missing == {"a": ["T1c"], "c": ["FLAIR"]} == read_dataset_json(dataset)["missing_modalities"]
        )
        assert undo(CaseFolder.of_dataset(dataset)) == (2, [])
        assert image.exists() and "missing_modalities" not in read_dataset_json(dataset)

    def test_an_empty_image_is_pointed_out(self, dataset):
        write_image(files_of(dataset, "a")[2], np.zeros(SHAPE, np.float32))
        (warning,) = fill(dataset).warnings
        assert warning.startswith("Case 'a': T2 has a file, which is zero throughout.")

    def test_table(self, dataset):
        text = gaps_in_words(fill(dataset), dry_run=False)
        assert "6 case(s), 2 of them with gaps; 3 all-zero volume(s) written." in text
        rows = [line.split() for line in text.splitlines()]
        assert ["T1c", "5", "1"] in rows and ["T2", "6", "0"] in rows and ["T1+FLAIR", "1"] in rows


class TestInterruption:
    def test_the_next_run_finishes(self, dataset, monkeypatch):
        def killed(folder, case, *arguments):
            if case == "c":
                raise KeyboardInterrupt
            write_zeros(folder, case, *arguments)

        write_zeros = fill_module.write_zeros
        monkeypatch.setattr(fill_module, "write_zeros", killed)
        before = snapshot(dataset)
        with pytest.raises(KeyboardInterrupt):
            fill(dataset)
        assert files_of(dataset, "a")[1].exists() and "missing_modalities" not in read_dataset_json(dataset)
        monkeypatch.undo()
        assert fill(dataset).missing == MISSING == read_dataset_json(dataset)["missing_modalities"]
        undo(CaseFolder.of_dataset(dataset))
        assert snapshot(dataset) == before

    def test_an_interrupted_run_can_be_undone(self, dataset, monkeypatch):
        before = snapshot(dataset)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(fill_module, "list_gaps", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            fill(dataset)
        assert undo(CaseFolder.of_dataset(dataset)) == (3, [])
        assert snapshot(dataset) == before

    def test_half_a_file_never_has_its_name(self, dataset, monkeypatch):
        def torn(image, file):
            Path(file).write_bytes(b"half")
            raise KeyboardInterrupt

        monkeypatch.setattr("nnunet_hetero.fill_gaps.volumes.nibabel.save", torn)
        with pytest.raises(KeyboardInterrupt):
            fill(dataset)
        assert not files_of(dataset, "a")[1].exists()
        assert not [path for path in (dataset / "imagesTr").iterdir() if path.name.startswith(".")]

    def test_a_full_disk_says_what_to_do(self, dataset, monkeypatch):
        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("nnunet_hetero.fill_gaps.volumes.nibabel.save", full)
        with pytest.raises(DataError, match=r"a_0001.nii.gz cannot be written \(No space left.*--undo"):
            fill(dataset)


class TestUndo:
    def test_everything_is_as_before(self, dataset):
        before = snapshot(dataset)
        fill(dataset)
        assert undo(CaseFolder.of_dataset(dataset)) == (3, [])
        assert snapshot(dataset) == before

    def test_what_is_not_zero_any_more_stays(self, dataset):
        fill(dataset)
        shutil.copy(files_of(dataset, "c")[1], files_of(dataset, "c")[0])
        assert undo(CaseFolder.of_dataset(dataset)) == (2, ["imagesTr/c_0000.nii.gz"])
        assert files_of(dataset, "c")[0].exists() and not files_of(dataset, "c")[3].exists()
        assert "missing_modalities" not in read_dataset_json(dataset)

    def test_other_changes_of_dataset_json_stay(self, dataset):
        fill(dataset)
        write_json(dataset / "dataset.json", {**read_dataset_json(dataset), "licence": "mine"})
        undo(CaseFolder.of_dataset(dataset))
        assert read_dataset_json(dataset) == {**tiny_dataset_json(num_training=6), "licence": "mine"}

    def test_without_a_record(self, dataset):
        with pytest.raises(DataError, match=r"has no fill_gaps\.json"):
            undo(CaseFolder.of_dataset(dataset))

    def test_a_damaged_record(self, dataset):
        (dataset / RECORD_NAME).write_text("{")
        with pytest.raises(DataError, match="Expected: the record of an earlier fill-gaps"):
            undo(CaseFolder.of_dataset(dataset))


class TestPredictionFolder:
    def test_filled_and_undone(self, tmp_path):
        write_case(tmp_path / "IN", "p", [0, 2])
        write_case(tmp_path / "IN", "q", [1])
        before = snapshot(tmp_path)
        cohort = CaseFolder.of_folder(tmp_path / "IN", tiny_dataset_json())
        gaps = fill_gaps(cohort, progress=False)
        assert gaps.missing == {"p": ["T1c", "FLAIR"], "q": ["T1", "T2", "FLAIR"]} and gaps.warnings == ()
        assert len(list((tmp_path / "IN").glob("*.nii.gz"))) == 8
        assert fill_gaps(cohort, progress=False).missing == gaps.missing
        assert undo(cohort) == (5, [])
        assert snapshot(tmp_path) == before


def test_labels_that_the_data_set_does_not_have_are_warned_about(dataset):
    label = dataset / "labelsTr" / "a.nii.gz"
    write_image(label, 85 * (read_array(label) == 1).astype(np.uint8))
    (warning,) = (text for text in fill(dataset).warnings if "labels" in text)
    assert "Case 'a'" in warning and "labels 0, 85; expected only" in warning and "85 is 1" in warning
