"""A second conversion: what is kept, and what is made again."""

from __future__ import annotations

import json
import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_hetero.dataset_conversion import brats
from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme
from nnunet_hetero.dataset_conversion.writing.made_from import made_from, read_record

CASE = "BraTS20_Training_001"
OTHER = "BraTS20_Training_002"


@pytest.fixture
def raw(tmp_path, write_case, nnunet_raw) -> Path:
    write_case(tmp_path / "raw" / CASE, 1)
    write_case(tmp_path / "raw" / OTHER, 2, without=("t2",))
    assert convert(tmp_path / "raw") == 0
    return tmp_path / "raw"


@pytest.fixture
def dataset(nnunet_raw) -> Path:
    return nnunet_raw / "Dataset501_BraTS"


def convert(raw: Path) -> int:
    return brats.main(["-i", str(raw), "-d", "501", "-np", "1"])


def replace_image(file: Path, **stat) -> np.ndarray:
    image = nibabel.load(file)
    data = np.asarray(image.dataobj) * 2
    nibabel.save(nibabel.Nifti1Image(data, image.affine), file)
    return data


class TestSecondRun:
    @pytest.mark.parametrize("age", [-3600, -1, 0, 1])
    def test_a_corrected_file_of_any_date_is_taken(self, age, raw, dataset, capsys):
        file = raw / CASE / f"{CASE}_t1.nii.gz"
        before = file.stat()
        data = replace_image(file)
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns + age * 10**9))
        assert convert(raw) == 0
        np.testing.assert_array_equal(nibabel.load(dataset / f"imagesTr/{CASE}_0000.nii.gz").dataobj, data)
        printed = capsys.readouterr().out
        assert f"{CASE}: T1 has changed: {file}" in printed and "1 of them from an earlier run" in printed

    def test_another_file_in_its_place_is_taken(self, raw, dataset, capsys):
        """A link that points elsewhere: neither size nor date need tell."""
        file = raw / CASE / f"{CASE}_t1.nii.gz"
        kept = file.rename(raw.parent / "kept.nii.gz")
        file.symlink_to(kept)
        assert convert(raw) == 0
        assert f"{CASE}: T1 is {kept}, it was {file}" in capsys.readouterr().out

    @pytest.mark.parametrize("damage", ["", "[]", "{", '{"sources": {}, "settings": {}}'])
    def test_a_damaged_record_is_none(self, damage, raw, dataset, capsys):
        (dataset / "made_from" / f"{CASE}.json").write_text(damage)
        assert convert(raw) == 0
        assert f"{CASE}: there is no record of what it was made from" in capsys.readouterr().out
        assert read_record(dataset, CASE) is not None

    def test_a_dataset_of_an_earlier_version_is_made_again(self, raw, dataset, capsys):
        for file in (dataset / "made_from").iterdir():
            file.unlink()
        (dataset / "made_from").rmdir()
        capsys.readouterr()
        assert convert(raw) == 0
        assert "from an earlier run" not in capsys.readouterr().out

    def test_a_result_that_is_not_what_was_written(self, raw, dataset, capsys):
        file = dataset / f"imagesTr/{CASE}_0002.nii.gz"
        content = file.read_bytes()
        file.write_bytes(content[:-9])
        assert convert(raw) == 0
        assert file.read_bytes() == content
        assert f"imagesTr/{CASE}_0002.nii.gz is not what was written" in capsys.readouterr().out

    def test_a_refused_case_leaves_no_record(self, raw, dataset):
        (raw / CASE / f"{CASE}_t1.nii.gz").write_bytes(b"")
        assert convert(raw) == 1
        assert [path.name for path in (dataset / "made_from").iterdir()] == [f"{OTHER}.json"]

    def test_absent_modalities_are_known_without_reading(self, raw, dataset):
        assert convert(raw) == 0
        content = json.loads((dataset / "dataset.json").read_text())
        assert content["missing_modalities"] == {OTHER: ["T2"]}


def test_voxels_in_a_file_of_their_own_count(tmp_path):
    header, voxels = tmp_path / "a.mhd", tmp_path / "a.raw"
    header.write_text("ObjectType = Image\nElementDataFile = a.raw\n")
    voxels.write_bytes(b"1")
    spec = DatasetSpec(("T1",), LabelScheme({"background": 0}, {0: 0}), "test")
    case = RawCase("a", (header,), None)
    before = made_from(case, spec, False)
    voxels.write_bytes(b"22")
    assert made_from(case, spec, False).difference(before) == f"voxels of T1 has changed: {voxels}"
    assert "test is True" in made_from(case, spec, True).difference(made_from(case, spec, False))
