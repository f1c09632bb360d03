"""From folders to what a page shows, and what is wrong with folders."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from helpers.looking.viewed import REGIONS, ball, head, label_map, write, write_viewed

from nnunet_hetero.errors import DataError
from nnunet_hetero.viewer.case_folder import CaseFolder


@pytest.fixture
def files(tmp_path):
    return write_viewed(tmp_path)


def folder(files, **more) -> CaseFolder:
    return CaseFolder(files.output, files.images, files.labels, **more)


class TestView:
    def test_what_was_given_and_what_was_completed(self, files):
        view = folder(files).view("a")
        assert [(entry.name, entry.kind) for entry in view.backgrounds] == [
            ("T1", "image"),
            ("T2", "image"),
            ("FLAIR", "image"),
            ("T1c", "completed"),
        ]
        assert list(view.regions) == list(REGIONS) and view.truth is not None and not view.warnings
        assert view.facts["Modalities"][-1] == ("T1c", "absent: no file")
        assert view.facts["Volumes"][0] == ("whole tumor", "7 ml")

    def test_difference_where_the_real_image_is_there_too(self, files):
        write(files.images / "a_0001.nii.gz", head())
        view = folder(files).view("a")
        difference = next(entry for entry in view.backgrounds if entry.kind == "difference")
        assert difference.name == "T1c" and np.allclose(np.abs(difference.picture.data), head())

    def test_subsets_of_an_evaluation_by_size(self, files, tmp_path):
        for subset in ("T1+T2", "T2", "T1"):
            write(tmp_path / "predictions" / subset / "a.nii.gz", label_map())
        view = folder(files, predictions=tmp_path / "predictions").view("a")
        assert list(view.subsets) == ["T1", "T2", "T1+T2"]

    def test_maps_and_probabilities(self, files):
        maps = np.stack([ball(radius) for radius in (7, 5, 3)]).astype(np.float32).transpose(0, 3, 2, 1)
        np.savez_compressed(files.output / "a.npz", probabilities=maps)
        overlays = folder(files).view("a").overlays
        assert (overlays[0].name, overlays[0].kind) == ("whole tumor", "entropy")
        probability = next(entry for entry in overlays if entry.kind == "probability" and entry.name == "tumor core")
        assert (probability.picture.data > 0.5).sum() == ball(5).sum()

    def test_the_predicted_dice_is_shown_and_sorts_the_list(self, files):
        (files.output / "quality.csv").write_text(
            "case,modalities,region,dice,dice_low,level,cases,look,note\n"
            "a,T1,whole tumor,0.91,0.82,0.9,30,no,\na,T1,tumor core,0.4,,0.9,3,yes,too few patients\n"
        )
        view = folder(files).view("a")
        assert view.facts["Predicted Dice, 0 to 1"] == [
            ("whole tumor", "0.91 (90% sure: at least 0.82)"),
            ("tumor core", "0.4"),
        ]
        assert folder(files).numbers_of("a")["whole tumor, predicted Dice"] == 0.91

    def test_a_suspicious_input_is_a_warning(self, files):
        (files.output / "checks.csv").write_text(
            "case,modalities,modality,check,looks,likeness,likeness_limit\n"
            "a,T1+T2,T1,ok,,1.2,0.4\na,T1+T2,T2,suspicious,looks like FLAIR,0.1,0.5\nb,T1,T1,suspicious,odd,,\n"
        )
        assert folder(files).view("a").warnings == ["T2 looks like FLAIR: the input may be wrong."]

    def test_a_note_on_missing_intervals_does_no_harm(self, files):
        (files.output / "volumes.csv").write_text(
            "case,modalities,whole_tumor_ml,whole_tumor_ml_low,interval_note\na,T1,10,,3 patient(s) with T1\n"
        )
        assert folder(files).numbers_of("a")["whole tumor, ml"] == 10

    def test_intervals_are_shown_if_there_are_some(self, files):
        (files.output / "volumes.csv").write_text(
            "case,whole_tumor_ml,whole_tumor_ml_low,whole_tumor_ml_high,interval_level,tumor_core_ml\na,10,8,13,0.9,4\n"
        )
        facts = dict(folder(files).view("a").facts["Volumes"])
        assert facts == {
            "whole tumor": "10 ml (90% interval 8 to 13)",
            "tumor core": "4 ml",
            "enhancing tumor": "unknown",
        }

    def test_areas_of_a_2d_image(self, files):
        (files.output / "volumes.csv").write_text(
            "case,whole_tumor_mm2,whole_tumor_mm2_low,whole_tumor_mm2_high,interval_level,tumor_core_mm2,tumor_core_ml\n"
            "a,10,8,13,0.9,4,\n"
        )
        view = folder(files).view("a")
        assert "Volumes" not in view.facts
        assert view.facts["Areas"][:2] == [("whole tumor", "10 mm² (90% interval 8 to 13)"), ("tumor core", "4 mm²")]
        assert folder(files).numbers_of("a") == {"whole tumor, mm²": 10, "tumor core, mm²": 4}

    def test_why_there_is_no_interval(self, files):
        (files.output / "volumes.csv").write_text(
            "case,tumor_core_ml,tumor_core_ml_low,tumor_core_ml_high,interval_level,interval_note\n"
            'a,4,,,0.9,"3 patient(s) with T1 in the calibration, 90 % needs 9"\n'
        )
        facts = dict(folder(files).view("a").facts["Volumes"])
        assert facts["tumor core"] == "4 ml"
        assert facts["no interval"] == "3 patient(s) with T1 in the calibration, 90 % needs 9"

    def test_numbers_to_sort_by(self, files):
        assert folder(files).numbers_of("a") == {
            "whole tumor, ml": 7.0,
            "tumor core, ml": 2.0,
            "enhancing tumor, ml": 0.5,
        }


class TestWrongFolders:
    def test_no_prediction(self, files):
        (files.output / "a.nii.gz").unlink()
        with pytest.raises(DataError, match="no segmentation"):
            folder(files).cases()

    def test_another_case(self, files):
        with pytest.raises(DataError, match="Case 'b'"):
            folder(files).view("b")

    def test_images_on_another_grid(self, files):
        write(files.images / "a_0000.nii.gz", head(), spacing=(1.0, 1.5, 2.0))
        with pytest.raises(DataError, match=r"image of T1 \(image\) lies on another grid"):
            folder(files).view("a")

    def test_images_that_are_gone(self, files):
        shutil.rmtree(files.images)
        shutil.rmtree(files.output / "completed")
        with pytest.raises(DataError, match="no image to show"):
            CaseFolder(files.output).view("a")

    def test_no_truth_of_a_case(self, files):
        (files.labels / "a.nii.gz").unlink()
        with pytest.raises(DataError, match="true label map"):
            folder(files).view("a")

    @pytest.mark.parametrize("name", ["modalities.json", "predict_from_raw_data_args.json", "run.json"])
    def test_who_looks_changes_no_file(self, files, name):
        (files.output / name).write_text("{broken")
        before = sorted(files.output.iterdir())
        with pytest.raises(DataError, match=f"{name} is not valid JSON"):
            CaseFolder(files.output).view("a")
        assert sorted(files.output.iterdir()) == before and (files.output / name).read_text() == "{broken"

    def test_a_completed_image_without_its_mark(self, files):
        (files.output / "completed" / "a_0001.json").unlink()
        assert "T1c: nothing says that this completed image is synthetic" in folder(files).view("a").warnings[0]

    def test_voxels_that_are_no_numbers(self, files):
        data = head()
        data[3, 3, 3] = np.nan
        write(files.output / "completed" / "a_0001.nii.gz", data)
        assert folder(files).view("a").said() == ["T1c has voxels that are no numbers; they are shown as background."]
