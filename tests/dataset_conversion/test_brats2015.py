"""BraTS 2012-2013 and 2015 under their real names arrive voxel by voxel, with the labels of the later releases."""

from __future__ import annotations

import csv
import json
import re

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunet_hetero.dataset_conversion import brats2015
from nnunet_hetero.dataset_conversion.phantom import make_phantom

# layout → [(folder of the case, segmentation, folders with numbers, name in the dataset, patient, site)]
LAYOUTS = {
    "2015": [
        (
            "BRATS2015_Training/HGG/brats_2013_pat0008_1",
            "VSD.Brain_3more.XX.XX.OT",
            True,
            ("HGG_brats_2013_pat0008_1", "HGG_brats_2013_pat0008", "2013"),
        ),
        (
            "BRATS2015_Training/HGG/brats_tcia_pat153_0181",
            "VSD.Brain_3more.XX.O.OT",
            True,
            ("HGG_brats_tcia_pat153_0181", "HGG_brats_tcia_pat153", "TCIA"),
        ),
        (
            "BRATS2015_Training/LGG/brats_2013_pat0008_1",  # the same name as another patient's among the HGG
            "VSD.Brain_3more.XX.O.OT",
            True,
            ("LGG_brats_2013_pat0008_1", "LGG_brats_2013_pat0008", "2013"),
        ),
    ],
    "2012-2013": [
        ("BRATS-2/Image_Data/HG/0001", "VSD.Brain_3more.XX.XX.OT", False, ("HGG_0001", "HGG_0001", "")),
        ("BRATS-2/Image_Data/LG/0001", "VSD.Brain_2more.XX.XX.OT", False, ("LGG_0001", "LGG_0001", "")),
    ],
}


def _write_layout(raw, layout, write_vsd_case, **options):
    for index, (folder, segmentation, numbered, _) in enumerate(LAYOUTS[layout], start=1):
        write_vsd_case(raw / folder, index, segmentation=segmentation, numbered=numbered, **options)


def _convert(raw, *arguments):
    return brats2015.main(["-i", str(raw), "-d", "502", "-np", "1", *arguments])


class TestLayouts:
    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_voxels_grid_and_labels_arrive(self, layout, tmp_path, write_vsd_case, nnunet_raw):
        _write_layout(tmp_path / "raw", layout, write_vsd_case)
        assert _convert(tmp_path / "raw") == 0
        dataset = nnunet_raw / "Dataset502_BraTS2015"
        for index, (_, _, _, (name, _, _)) in enumerate(LAYOUTS[layout], start=1):
            source = make_phantom(index, size=24, seed=5)
            for channel, modality in enumerate(("t1", "t1ce", "t2", "flair")):
                image = nibabel.load(dataset / "imagesTr" / f"{name}_{channel:04d}.nii.gz")
                np.testing.assert_array_equal(np.asanyarray(image.dataobj), source[modality])
                np.testing.assert_allclose(image.affine, source["affine"], atol=1e-5)
            label = nibabel.load(dataset / "labelsTr" / f"{name}.nii.gz")
            expected = np.select([source["seg"] == raw for raw in (1, 2, 4)], (1, 2, 3), default=0)
            np.testing.assert_array_equal(np.asanyarray(label.dataobj), expected)
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["description"] == f"BraTS {layout}, converted from its raw layout"
        assert content["missing_modalities"] == {}

    @pytest.mark.parametrize("layout", LAYOUTS)
    def test_patients_sites_and_grades_are_recorded(self, layout, tmp_path, write_vsd_case, nnunet_raw):
        _write_layout(tmp_path / "raw", layout, write_vsd_case)
        assert _convert(tmp_path / "raw") == 0
        rows = list(csv.DictReader((nnunet_raw / "Dataset502_BraTS2015" / "cases.csv").open()))
        assert [(row["case"], row["patient"], row["site"]) for row in rows] == [entry[3] for entry in LAYOUTS[layout]]
        assert [row["grade"] for row in rows] == [row["case"][:3] for row in rows]

    def test_non_enhancing_core_joins_the_necrosis(self, tmp_path, write_vsd_case, nnunet_raw):
        write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0001_1", labels=(3, 2, 4))
        assert _convert(tmp_path / "raw", "--labels") == 0
        dataset = nnunet_raw / "Dataset502_BraTS2015"
        label = np.asanyarray(nibabel.load(next((dataset / "labelsTr").iterdir())).dataobj)
        np.testing.assert_array_equal(label == 1, make_phantom(1, size=24, seed=5)["seg"] == 1)
        assert "regions_class_order" not in json.loads((dataset / "dataset.json").read_text())

    def test_nnunet_reads_the_grid_that_the_raw_file_has(self, tmp_path, write_vsd_case, nnunet_raw):
        case = write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0001_1")
        angle = np.radians(20)
        oblique = (np.cos(angle), -np.sin(angle), 0, np.sin(angle), np.cos(angle), 0, 0, 0, 1)
        for path in case.rglob("*.mha"):
            image = sitk.ReadImage(str(path))
            image.SetDirection(oblique)
            image.SetSpacing((1, 2, 3))
            image.SetOrigin((-5, 7, 11))
            sitk.WriteImage(image, str(path))
        assert _convert(tmp_path / "raw") == 0
        before = sitk.ReadImage(str(next(case.glob("*MR_T1c*/*.mha"))))
        after = sitk.ReadImage(str(next((nnunet_raw / "Dataset502_BraTS2015/imagesTr").glob("*_0001.nii.gz"))))
        np.testing.assert_array_equal(sitk.GetArrayFromImage(after), sitk.GetArrayFromImage(before))
        np.testing.assert_allclose(after.GetSpacing(), before.GetSpacing(), atol=1e-5)
        np.testing.assert_allclose(after.GetOrigin(), before.GetOrigin(), atol=1e-5)
        np.testing.assert_allclose(after.GetDirection(), before.GetDirection(), atol=1e-5)

    def test_files_without_folders_of_their_own(self, tmp_path, write_vsd_case, nnunet_raw):
        case = write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0001_1")
        for path in list(case.rglob("*.mha")):
            path.rename(case / path.name)
            path.parent.rmdir()
        assert _convert(tmp_path / "raw") == 0

    def test_gap_and_test_case(self, tmp_path, write_vsd_case, nnunet_raw):
        write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0001_1", 1)
        write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0002_1", 2, without=("T1c",))
        write_vsd_case(tmp_path / "raw/HGG_LGG/brats_2013_pat0103_1", 3, without=("OT",))
        assert _convert(tmp_path / "raw", "--unlabelled-to-imagesTs") == 0
        dataset = nnunet_raw / "Dataset502_BraTS2015"
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["missing_modalities"] == {"HGG_brats_2013_pat0002_1": ["T1c"]}
        assert {path.name[:-12] for path in (dataset / "imagesTs").iterdir()} == {"brats_2013_pat0103_1"}


class TestSynthetic:
    def test_oedema_and_core_only(self, tmp_path, write_vsd_case, nnunet_raw):
        case = tmp_path / "raw/BRATS-2/Synthetic_Data/HG/0001"
        write_vsd_case(case, segmentation="VSD.Brain_1more.XX.O.OT", numbered=False, labels=(2, 1, 2))
        tissues = case / "VSD.Gray_matter_of_neuraxis_5more.XX.O.OT"
        tissues.mkdir()
        truth = next((case / "VSD.Brain_1more.XX.O.OT").iterdir())
        (tissues / "VSD.Gray_matter_of_neuraxis_5more.XX.O.OT.870.mha").write_bytes(truth.read_bytes())
        assert _convert(tmp_path / "raw") == 0
        dataset = nnunet_raw / "Dataset502_BraTS2015"
        source = make_phantom(1, size=24, seed=5)
        label = np.asanyarray(nibabel.load(dataset / "labelsTr" / "SimHGG_0001.nii.gz").dataobj)
        np.testing.assert_array_equal(label, np.select([source["seg"] == 2, source["seg"] > 0], (1, 2), default=0))
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["labels"] == {"background": 0, "whole_tumor": [1, 2], "tumor_core": 2}
        assert content["regions_class_order"] == [1, 2]

    def test_not_beside_patients(self, tmp_path, write_vsd_case, nnunet_raw, capsys):
        write_vsd_case(tmp_path / "raw/BRATS-2/Image_Data/HG/0001", numbered=False)
        write_vsd_case(tmp_path / "raw/BRATS-2/Synthetic_Data/HG/0001", numbered=False)
        assert _convert(tmp_path / "raw") == 1
        error = capsys.readouterr().err
        assert "1 of BraTS 2012-2013, 1 of BraTS 2012-2013 synthetic cases" in error
        assert list(nnunet_raw.iterdir()) == []


def _copy(case, source, target):
    """Copy the one file of a folder to another folder."""
    file = next(case.glob(f"{source}*/*.mha"))
    place = case / target
    place.mkdir(exist_ok=True)
    (place / f"{target}.mha").write_bytes(file.read_bytes())


DAMAGES = {
    "two T1c": (
        lambda c: _copy(c, "VSD.Brain.XX.O.MR_T1c", "VSD.Brain.XX.O.MR_T1c.9"),
        r"2 files claim to be its T1c: .*MR_T1c\.9.*Keep one",
    ),
    "file in another's folder": (
        lambda c: [p.rename(next(c.glob("*MR_T2*")) / p.name) for p in c.glob("*MR_Flair*/*.mha")],
        r"MR_Flair\.\d+\.mha \(FLAIR in the folder of T2\)",
    ),
    "cut short": (
        lambda c: [p.write_bytes(p.read_bytes()[:-200]) for p in c.glob("*MR_T2*/*.mha")],
        r"MR_T2\.\d+\.mha cannot be read as MetaImage: it is damaged",
    ),
    "no image": (
        lambda c: [p.unlink() for p in c.glob("*MR_*/*.mha")],
        r"it has no image file; expected are files named VSD\.Brain\.XX\.O\.MR_T1",
    ),
    "two folders of one name": (
        lambda c: [
            (c.parent / "more" / c.name / "VSD.Brain.XX.O.MR_T1.7").mkdir(parents=True),
            (c.parent / "more" / c.name / "VSD.Brain.XX.O.MR_T1.7" / "VSD.Brain.XX.O.MR_T1.7.mha").write_bytes(b""),
        ],
        r"several folders claim to be this case: .*/more/",
    ),
}


class TestBadCases:
    @pytest.mark.parametrize("kind", DAMAGES)
    def test_is_named_and_left_out(self, kind, tmp_path, write_vsd_case, nnunet_raw, capsys):
        damage, message = DAMAGES[kind]
        write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0001_1", 1)
        damage(write_vsd_case(tmp_path / "raw/HGG/brats_tcia_pat118_0001", 2))
        assert _convert(tmp_path / "raw") == 1
        error = capsys.readouterr().err
        assert re.search(rf"  HGG_brats_tcia_pat118_0001: .*{message}", error), error
        content = json.loads((nnunet_raw / "Dataset502_BraTS2015" / "dataset.json").read_text())
        assert content["numTraining"] == 1

    def test_label_that_is_not_known(self, tmp_path, write_vsd_case, nnunet_raw, capsys):
        write_vsd_case(tmp_path / "raw/HGG/brats_2013_pat0001_1", labels=(1, 2, 5))
        assert _convert(tmp_path / "raw") == 1
        assert "expected only 0, 1, 2, 3, 4. They are 1 necrosis, 2 oedema" in capsys.readouterr().err
