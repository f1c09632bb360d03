"""BIDS folders: subjects, sessions, runs, contrast agents, segmentations among the derivatives."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from helpers.phantoms import phantom, save_nifti

from nnunet_hetero.cli.main import main

CHANNELS = {"T1w": "t1", "ce-gad_T1w": "t1ce", "T2w": "t2", "FLAIR": "flair"}
LABELS = "derivatives/lesions"
CLASSES = ("--classes", "core=1", "edema=2", "enhancing=4")

# Folder of the images and start of their names → phantom, and the modalities that are absent.
SCANS = {
    "sub-01/ses-pre/anat/sub-01_ses-pre": (1, ()),
    "sub-01/ses-post/anat/sub-01_ses-post": (2, ("T2w", "ce-gad_T1w")),
    "sub-A2/anat/sub-A2": (3, ("FLAIR",)),
}


@pytest.fixture
def bids(tmp_path) -> Path:
    """Two sessions of one subject, one of another without session, and things that are no case."""
    root = tmp_path / "study"
    for start, (index, absent) in SCANS.items():
        for suffix, what in CHANNELS.items():
            if suffix not in absent:
                write(root / f"{start}_{suffix}.nii.gz", index, what)
        write(root / LABELS / f"{start}_desc-manual_dseg.nii.gz", index, "seg")
        write(root / f"{start}_PDw.nii.gz", index, "t2")
    (root / "sub-01/ses-pre/func").mkdir()
    write(root / "sub-01/ses-pre/func/sub-01_ses-pre_task-rest_bold.nii.gz", 1, "t2")
    (root / "sub-A2/anat/sub-A2_T1w.json").write_text("{}")
    (root / "participants.tsv").write_text("participant_id\tage\tSite\tgrade\nsub-01\t52\tA\tn/a\nsub-77\t1\tB\tHGG\n")
    return root


def write(file: Path, index: int, what: str) -> Path:
    return save_nifti(phantom(index)[what], phantom(index)["affine"], file)


def convert(root: Path, *arguments: str) -> int:
    base = ["convert", "bids", "-i", str(root), "-d", "506", "-np", "1"]
    return main([*base, "--labels", LABELS, *(arguments or CLASSES)])


class TestConversion:
    def test_voxels_affine_labels_and_gaps(self, bids, nnunet_raw, capsys):
        assert convert(bids) == 0
        dataset = nnunet_raw / "Dataset506_BIDS"
        names = {"sub-01_ses-pre": 0, "sub-01_ses-post": 1, "sub-A2": 2}
        for name, (index, absent) in zip(names, SCANS.values(), strict=True):
            source = phantom(index)
            for channel, (suffix, what) in enumerate(CHANNELS.items()):
                image = nibabel.load(dataset / f"imagesTr/{name}_{channel:04d}.nii.gz")
                assert np.array_equal(image.get_fdata(), 0 * source[what] if suffix in absent else source[what])
                assert np.allclose(image.affine, source["affine"])
            label = nibabel.load(dataset / f"labelsTr/{name}.nii.gz").get_fdata()
            assert np.array_equal(label, np.where(source["seg"] == 4, 3, source["seg"]))
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["channel_names"] == {"0": "T1", "1": "T1c", "2": "T2", "3": "FLAIR"}
        assert content["labels"] == {"background": 0, "core": 1, "edema": 2, "enhancing": 3}
        assert content["missing_modalities"] == {"sub-01_ses-post": ["T1c", "T2"], "sub-A2": ["FLAIR"]}
        assert [line.split(",")[:4] for line in (dataset / "cases.csv").read_text().splitlines()[1:]] == [
            ["sub-01_ses-post", "sub-01", "A", ""],
            ["sub-01_ses-pre", "sub-01", "A", ""],
            ["sub-A2", "sub-A2", "", ""],
        ]
        assert "ignored 3 images that are no modality of a case" in capsys.readouterr().out

    def test_classes_from_the_table_of_bids(self, bids, nnunet_raw):
        table = bids / LABELS / "desc-manual_dseg.tsv"
        table.write_text("index\tname\n0\tbackground\n4\tenhancing tumour\n1\tcore\n2\tedema\n")
        assert main(["convert", "bids", "-i", str(bids), "-d", "506", "-np", "1", "--labels", str(bids / LABELS)]) == 0
        content = json.loads((nnunet_raw / "Dataset506_BIDS" / "dataset.json").read_text())
        assert content["labels"] == {"background": 0, "core": 1, "edema": 2, "enhancing_tumour": 3}

    def test_label_of_the_only_session_need_not_name_it(self, bids, nnunet_raw):
        for path in (bids / "sub-01/ses-post/anat").iterdir():
            path.unlink()
        folder = bids / LABELS / "sub-01"
        (folder / "ses-post/anat/sub-01_ses-post_desc-manual_dseg.nii.gz").unlink()
        (folder / "ses-pre/anat/sub-01_ses-pre_desc-manual_dseg.nii.gz").rename(folder / "sub-01_dseg.nii.gz")
        assert convert(bids) == 0
        assert (nnunet_raw / "Dataset506_BIDS/labelsTr/sub-01_ses-pre.nii.gz").is_file()

    def test_derivatives_and_another_pattern(self, bids, nnunet_raw):
        """Registered images under derivatives, with their segmentations beside them."""
        root = bids / "derivatives" / "registered"
        for suffix, what in CHANNELS.items():
            write(root / f"sub-01/anat/sub-01_space-T1w_desc-preproc_{suffix}.nii.gz", 1, what)
        write(root / "sub-01/anat/sub-01_space-T1w_label-lesion_mask.nii.gz", 1, "seg")
        arguments = ["--labels", str(root), "--label-pattern", "*_mask.nii.gz", *CLASSES]
        assert main(["convert", "bids", "-i", str(root), "-d", "506", "-np", "1", *arguments]) == 0
        assert (nnunet_raw / "Dataset506_BIDS/labelsTr/sub-01.nii.gz").is_file()
        assert "sub-01,sub-01,A,,train" in (nnunet_raw / "Dataset506_BIDS/cases.csv").read_text()

    def test_dry_run_writes_nothing(self, bids, nnunet_raw, capsys):
        assert convert(bids, *CLASSES, "--dry-run") == 0
        assert list(nnunet_raw.iterdir()) == []
        assert "sub-A2: FLAIR" in capsys.readouterr().out


class TestChoice:
    @pytest.fixture
    def runs(self, bids) -> Path:
        """Three runs of FLAIR of the first subject: phantoms 1, 2 and 3; one T1 of high resolution, phantom 3."""
        folder = bids / "sub-01/ses-pre/anat"
        (folder / "sub-01_ses-pre_FLAIR.nii.gz").unlink()
        for run in (1, 2, 10):
            write(folder / f"sub-01_ses-pre_run-{run:02d}_FLAIR.nii.gz", min(run, 3), "flair")
        write(folder / "sub-01_ses-pre_acq-highres_T1w.nii.gz", 3, "t1")
        return bids

    @pytest.mark.parametrize(("run", "index"), [("first", 1), ("2", 2), ("last", 3)])
    def test_is_taken(self, run, index, runs, nnunet_raw):
        assert convert(runs, *CLASSES, "--run", run, "--prefer", "acq-highres") == 0
        images = nnunet_raw / "Dataset506_BIDS" / "imagesTr"
        flair = nibabel.load(images / "sub-01_ses-pre_0003.nii.gz").get_fdata()
        assert np.array_equal(flair, phantom(index)["flair"])
        t1 = nibabel.load(images / "sub-01_ses-pre_0000.nii.gz").get_fdata()
        assert np.array_equal(t1, phantom(3)["t1"])

    def test_several_files_are_refused_without_a_choice(self, runs, nnunet_raw, capsys):
        assert convert(runs) == 1
        assert re.search(
            r"sub-01_ses-pre: 2 files claim to be its T1: .*choose with --run or --prefer", capsys.readouterr().err
        )

    def test_run_that_is_not_there(self, runs, nnunet_raw, capsys):
        assert convert(runs, *CLASSES, "--run", "7", "--prefer", "acq-highres") == 1
        assert "3 files claim to be its FLAIR" in capsys.readouterr().err

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--run", "best"], "--run is 'best'; expected first, last"),
            (["--prefer", "highres"], "'highres' is no entity"),
        ],
    )
    def test_bad_choice(self, arguments, message, runs, nnunet_raw, capsys):
        assert convert(runs, *CLASSES, *arguments) == 1
        assert message in capsys.readouterr().err


def label_of(name: str) -> str:
    return f"{LABELS}/{name}/anat/{name}_desc-manual_dseg.nii.gz"


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no modality": (
        lambda root: [path.unlink() for path in (root / "sub-A2/anat").glob("*.nii.gz")],
        r"it has the segmentation .*sub-A2_desc-manual_dseg.nii.gz, but no image in an anat folder",
    ),
    "no label": (lambda root: (root / label_of("sub-A2")).unlink(), "it has no segmentation"),
    "two labels": (
        lambda root: write(root / LABELS / "sub-A2/anat/sub-A2_desc-auto_dseg.nii.gz", 3, "seg"),
        r"2 files claim to be its segmentation: .*desc-auto_dseg.*narrow --label-pattern",
    ),
    "label of another case": (
        lambda root: (root / label_of("sub-A2")).rename(root / LABELS / "sub-01/sub-A2_dseg.nii.gz"),
        r"folder and file name are of different cases: .*sub-01/sub-A2_dseg.nii.gz",
    ),
    "image of another case": (
        lambda root: (root / "sub-A2/anat/sub-A2_T2w.nii.gz").rename(root / "sub-01/ses-pre/anat/sub-A2_T2w.nii.gz"),
        r"folder and file name are of different cases: .*sub-01/ses-pre/anat/sub-A2_T2w.nii.gz",
    ),
    "other grid": (
        lambda root: save_nifti(phantom(3)["t2"][1:], phantom(3)["affine"], root / "sub-A2/anat/sub-A2_T2w.nii.gz"),
        r"sub-A2_T2w.nii.gz has shape \(23, 24, 24\) instead of .*register them first",
    ),
}


class TestBadFolders:
    @pytest.mark.parametrize("kind", CASES)
    def test_bad_case_is_named_and_left_out(self, kind, bids, nnunet_raw, capsys):
        damage, message = CASES[kind]
        damage(bids)
        assert convert(bids) == 1
        error = capsys.readouterr().err
        assert re.search(f"  sub-A2: .*{message}", error), error
        assert not list(nnunet_raw.rglob("sub-A2*"))
        assert list(nnunet_raw.rglob("labelsTr/sub-01_ses-pre.nii.gz"))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            ([], "What do the values in the segmentations mean?"),
            (["--labels", "derivatives/none", *CLASSES], "derivatives/none does not exist"),
            (["--label-pattern", "*_mask.nii.gz", *CLASSES], r"has no file named \*_mask.nii.gz"),
        ],
    )
    def test_labels_that_are_not_found(self, arguments, message, bids, nnunet_raw, capsys):
        assert main(["convert", "bids", "-i", str(bids), "-d", "506", "--labels", LABELS, *arguments]) == 1
        assert re.search(message, capsys.readouterr().err)

    def test_no_labels_at_all(self, bids, nnunet_raw, capsys):
        assert main(["convert", "bids", "-i", str(bids), "-d", "506"]) == 1
        assert "Say it with --labels and --classes" in capsys.readouterr().err

    def test_no_bids_folder(self, tmp_path, nnunet_raw, capsys):
        assert convert(tmp_path / "none") == 1
        assert convert(tmp_path) == 1
        error = capsys.readouterr().err
        assert "none does not exist" in error and "has no image such as sub-01/anat/sub-01_T1w.nii.gz" in error


class TestOtherNames:
    """A modality that a case would lack while a file that could be it lies there."""

    START = "sub-A2/anat/sub-A2"

    @pytest.mark.parametrize("name", ["flair.nii.gz", "Flair.NII.GZ", "T2FLAIR.nii.gz", "acq-3d_FLAIR.nii"])
    def test_what_is_common_is_read(self, name, bids, nnunet_raw):
        write(bids / f"{self.START}_x.nii.gz", 3, "flair").rename(bids / f"{self.START}_{name}")
        assert convert(bids) == 0
        image = nibabel.load(nnunet_raw / "Dataset506_BIDS/imagesTr/sub-A2_0003.nii.gz")
        np.testing.assert_array_equal(image.get_fdata(), phantom(3)["flair"])

    @pytest.mark.parametrize(
        "name",
        ["fliar.nii.gz", "ce-gad_FLAIR.nii.gz", "FLAIR.mgz", "FLAIR(1).nii.gz", "../FLAIR.nii.gz", "x/FLAIR.nii"],
    )
    def test_what_may_be_it_is_refused_and_named(self, name, bids, nnunet_raw, capsys):
        folder = bids / "sub-A2" / "anat"
        file = (folder / Path(name).parent / f"sub-A2_{Path(name).name}").resolve()
        file.parent.mkdir(exist_ok=True)
        write(folder / "x.nii.gz", 3, "flair").rename(file)
        assert convert(bids) == 1
        error = capsys.readouterr().err
        assert f"sub-A2: it lacks FLAIR, but has files that may be that: {file}. Rename them as BIDS asks" in error
        assert not list((nnunet_raw / "Dataset506_BIDS/imagesTr").glob("sub-A2*"))

    def test_after_contrast_or_after_surgery(self, bids, nnunet_raw, capsys):
        old = bids / "sub-01/ses-pre/anat/sub-01_ses-pre_ce-gad_T1w.nii.gz"
        new = old.rename(old.with_name("sub-01_ses-pre_acq-post_T1w.nii.gz"))
        assert convert(bids) == 1
        assert f"sub-01_ses-pre: it lacks T1c, but has files that may be that: {new}" in capsys.readouterr().err
        assert convert(bids, *CLASSES, "--modality-of", "acq-post_T1w=t1c") == 0
        image = nibabel.load(nnunet_raw / "Dataset506_BIDS/imagesTr/sub-01_ses-pre_0001.nii.gz")
        np.testing.assert_array_equal(image.get_fdata(), phantom(1)["t1ce"])

    @pytest.mark.parametrize("entry", ["acq-post_T1w", "=T1c", "acq-post_T1w=T3"])
    def test_what_modality_of_takes(self, entry, bids, nnunet_raw, capsys):
        assert convert(bids, *CLASSES, "--modality-of", entry) == 1
        assert "is not END=MODALITY, such as acq-post_T1w=T1c" in capsys.readouterr().err

    def test_another_kind_is_no_candidate(self, bids, nnunet_raw, capsys):
        write(bids / f"{self.START}_T2starw.nii.gz", 3, "flair")
        write(bids / f"{self.START}_UNIT1.nii.gz", 3, "t1")  # may be a T1, which is there
        assert convert(bids) == 0
        assert "ignored 5 images that are no modality of a case" in capsys.readouterr().out

    def test_a_subject_of_doubtful_files_alone_is_not_dropped(self, bids, nnunet_raw, capsys):
        write(bids / "sub-03/anat/sub-03_T1.nii.gz", 3, "t1")
        assert convert(bids) == 1
        assert "sub-03: it lacks T1, T1c, T2, FLAIR, but has files that may be" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["Sub-03", "sub_03", "subject03", "sub03"])
    def test_a_folder_that_is_all_but_a_subject_is_not_dropped(self, name, bids, nnunet_raw, capsys):
        write(bids / name / "anat/sub-03_T1w.nii.gz", 3, "t1")
        assert convert(bids) == 1
        assert f"{bids / name} is no folder of a BIDS subject" in capsys.readouterr().err

    @pytest.mark.parametrize("name", ["sub-A2_desc-manual_Dseg.nii.gz", "sub-A2_desc-manual_dseg.nii"])
    def test_a_segmentation_that_is_all_but_named_so(self, name, bids, nnunet_raw, capsys):
        file = bids / LABELS / "sub-A2/anat/sub-A2_desc-manual_dseg.nii.gz"
        new = file.rename(file.with_name(name))
        assert convert(bids, *CLASSES, "--unlabelled-to-imagesTs") == 1
        assert f"sub-A2: it has no segmentation, but {new} is all but named like one" in capsys.readouterr().err


class TestSecondRun:
    """The choice is a setting: what it leads to is made again."""

    def test_another_run(self, bids, nnunet_raw):
        write(bids / "sub-A2/anat/sub-A2_T2w.nii.gz", 3, "t2").rename(bids / "sub-A2/anat/sub-A2_run-1_T2w.nii.gz")
        write(bids / "sub-A2/anat/sub-A2_run-2_T2w.nii.gz", 3, "t1")
        image = nnunet_raw / "Dataset506_BIDS/imagesTr/sub-A2_0002.nii.gz"
        for choice, what in (("first", "t2"), ("last", "t1"), ("first", "t2")):
            assert convert(bids, *CLASSES, "--run", choice) == 0
            np.testing.assert_array_equal(nibabel.load(image).get_fdata(), phantom(3)[what])

    def test_another_label_pattern(self, bids, nnunet_raw):
        for start, (index, _) in SCANS.items():
            other = np.where(phantom(index)["seg"] == 4, 0, phantom(index)["seg"])
            save_nifti(other, phantom(index)["affine"], bids / LABELS / f"{start}_desc-auto_dseg.nii.gz")
        label = nnunet_raw / "Dataset506_BIDS/labelsTr/sub-A2.nii.gz"
        for who, highest in (("manual", 3), ("auto", 2), ("manual", 3)):
            assert convert(bids, *CLASSES, "--label-pattern", f"*_desc-{who}_dseg.nii.gz") == 0
            assert nibabel.load(label).get_fdata().max() == highest
