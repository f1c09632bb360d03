"""A bad case is reported with its name, file and reason, and does not hold up the good ones."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest

from nnunet_hetero.dataset_conversion import brats

GOOD, BAD = "BraTS20_Training_001", "BraTS20_Training_002"


def _file(case: Path, what: str) -> Path:
    return case / f"{case.name}_{what}.nii.gz"


def _truncate(case: Path) -> None:
    content = _file(case, "t2").read_bytes()
    _file(case, "t2").write_bytes(content[: len(content) // 2])


def _break_checksum(case: Path) -> None:
    content = bytearray(_file(case, "t2").read_bytes())
    content[-8] ^= 0xFF  # the checksum is the trailer's first half
    _file(case, "t2").write_bytes(bytes(content))


def _truncate_unpacked(case: Path) -> None:
    image = nibabel.load(_file(case, "t2"))
    content = image.to_bytes()
    _file(case, "t2").unlink()
    (case / f"{case.name}_t2.nii").write_bytes(content[:-100])


def _change(what: str, change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> Callable:
    """Damage that replaces one file's voxels and affine."""

    def damage(case: Path) -> None:
        image = nibabel.load(_file(case, what))
        data, affine = change(np.asarray(image.dataobj), image.affine.copy())
        nibabel.save(nibabel.Nifti1Image(data, affine, dtype=data.dtype), _file(case, what))

    return damage


def _with_voxel(value: float, dtype: type) -> Callable:
    def change(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        data = data.astype(dtype)
        data[3, 4, 5] = value
        return data, affine

    return change


def _shift(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    affine[0, 3] += 0.8
    return data, affine


def _stretch(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    affine[2, 2] += 0.1
    return data, affine


def _tilt(data: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    cosine, sine = np.cos(0.01), np.sin(0.01)
    affine[:3, :3] = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]]) @ affine[:3, :3]
    return data, affine


def _remove(*names: str) -> Callable[[Path], None]:
    return lambda case: [_file(case, name).unlink() for name in names] and None


DAMAGES = {
    "truncated": (_truncate, r"_t2\.nii\.gz cannot be read .*damaged or truncated.*Copy or download it again"),
    "checksum": (_break_checksum, r"_t2\.nii\.gz cannot be read .*damaged or truncated"),
    "truncated .nii": (_truncate_unpacked, r"_t2\.nii cannot be read .*damaged or truncated"),
    "not NIfTI": (
        lambda c: _file(c, "t1").write_text("<html>404</html>") and None,
        r"_t1\.nii\.gz cannot be read .*damaged or truncated",
    ),
    "empty file": (
        lambda c: _file(c, "t1").write_bytes(b"") and None,
        r"_t1\.nii\.gz cannot be read .*damaged or truncated",
    ),
    "4D": (
        _change("flair", lambda d, a: (np.stack([d, d], -1), a)),
        r"_flair\.nii\.gz is 4D with shape \(24, 24, 24, 2\)",
    ),
    "2D": (_change("flair", lambda d, a: (d[:, :, 9], a)), r"_flair\.nii\.gz is 2D"),
    "complex": (_change("t1", lambda d, a: (d.astype(np.complex64), a)), r"_t1\.nii\.gz has data type complex64"),
    "NaN": (
        _change("t1ce", _with_voxel(np.nan, np.float32)),
        r"_t1ce\.nii\.gz has 1 voxel.* NaN or infinite",
    ),
    "Inf": (
        _change("t1ce", _with_voxel(np.inf, np.float64)),
        r"_t1ce\.nii\.gz has 1 voxel.* NaN or infinite",
    ),
    "shape": (
        _change("t2", lambda d, a: (d[:-1], a)),
        r"_t2\.nii\.gz has shape \(23, 24, 24\) instead of \(24, 24, 24\) of T1 ",
    ),
    "origin": (
        _change("t2", _shift),
        r"_t2\.nii\.gz has origin \(-0\.8, -184, 0\) mm instead of \(0, -184, 0\) mm of T1 ",
    ),
    "spacing": (_change("t2", _stretch), r"_t2\.nii\.gz has spacing \(8, 8, 8\.1\) mm instead of \(8, 8, 8\) mm"),
    "direction": (_change("t2", _tilt), r"_t2\.nii\.gz has direction .* instead of .*register them first"),
    "label's grid": (_change("seg", _shift), r"_seg\.nii\.gz has origin .* of T1 \(.*_t1\.nii\.gz\)"),
    "unknown label": (
        _change("seg", _with_voxel(3, np.uint8)),
        r"_seg\.nii\.gz has the labels 0, 1, 2, 3, 4; expected only 0, 1, 2, 4",
    ),
    "fraction as label": (_change("seg", _with_voxel(0.5, np.float32)), r"_seg\.nii\.gz has the labels 0, 0\.5, 1"),
    "no segmentation": (_remove("seg"), r"has no segmentation.*--unlabelled train"),
    "only a segmentation": (_remove("t1", "t1ce", "t2", "flair"), r"it has no image file"),
    "two files": (
        lambda c: nibabel.save(nibabel.load(_file(c, "t1ce")), c / f"{c.name}_t1ce.nii"),
        r"2 files claim to be its T1c: .*_t1ce\.nii, .*_t1ce\.nii\.gz",
    ),
    "misspelt file": (
        lambda c: _file(c, "t1ce").rename(c / f"{c.name}_t1gd.nii.gz") and None,
        r"it lacks T1c, but has files of unknown meaning: .*_t1gd\.nii\.gz",
    ),
    "signal nowhere": (
        lambda c: [_change(w, lambda d, a: (0 * d, a))(c) for w in ("t1", "t1ce", "t2", "flair")] and None,
        r"it has no image: none of T1, T1c, T2, FLAIR",
    ),
}


class TestBadCase:
    @pytest.mark.parametrize("kind", DAMAGES)
    def test_is_named_and_left_out(self, kind, tmp_path, write_case, nnunet_raw, capsys):
        damage, message = DAMAGES[kind]
        write_case(tmp_path / "raw" / GOOD, 1)
        damage(write_case(tmp_path / "raw" / BAD, 2))
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1"]) == 1
        error = capsys.readouterr().err
        assert "error: 1 of 2 cases were not converted" in error
        assert re.search(rf"  {BAD}: .*{message}", error), error
        assert "training can go ahead" in error
        dataset = nnunet_raw / "Dataset501_BraTS"
        assert json.loads((dataset / "dataset.json").read_text())["numTraining"] == 1
        written = {p.name for folder in ("imagesTr", "labelsTr") for p in (dataset / folder).iterdir()}
        assert written == {f"{GOOD}.nii.gz", *(f"{GOOD}_{channel:04d}.nii.gz" for channel in range(4))}

    @pytest.mark.parametrize("what", ["t1", "seg"])
    def test_file_in_another_case_folder(self, what, tmp_path, write_case, nnunet_raw, capsys):
        good, bad = (write_case(tmp_path / "raw" / name, index) for index, name in enumerate((GOOD, BAD), start=1))
        stray = _file(good, what).rename(bad / f"{GOOD}_{what}.nii.gz")
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1"]) == 1
        error = capsys.readouterr().err
        assert error.count(f"folder and file name different cases: {stray}") == 2  # neither case can be trusted

    def test_no_good_case_leaves_no_dataset_json(self, tmp_path, write_case, nnunet_raw, capsys):
        write_case(tmp_path / "raw" / BAD, without=("seg",))
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501"]) == 1
        captured = capsys.readouterr()
        assert (
            BAD in captured.err and "There is no case that can be used. So no dataset.json was written" in captured.err
        )
        assert not (nnunet_raw / "Dataset501_BraTS" / "dataset.json").exists()


class TestTolerance:
    @pytest.mark.parametrize("what", ["t2", "seg"])
    def test_rounding_of_the_grid_is_evened_out(self, what, tmp_path, write_case, nnunet_raw):
        case = write_case(tmp_path / "raw" / GOOD)
        _change(what, lambda data, affine: (data, affine + np.diag([5e-3, 0, 0, 0])))(case)
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1"]) == 0
        dataset = nnunet_raw / "Dataset501_BraTS"
        affines = [nibabel.load(path).affine for path in dataset.glob("*Tr/*.nii.gz")]
        assert len(affines) == 5
        assert all(np.array_equal(affine, affines[0]) for affine in affines)

    def test_data_types_are_kept(self, tmp_path, write_case, nnunet_raw):
        case = write_case(tmp_path / "raw" / GOOD)
        _change("t1", lambda data, affine: (data.astype(np.float32) / 7, affine))(case)
        _change("t2", lambda data, affine: (data[..., None], affine))(case)  # 4D with one volume is 3D
        _change("seg", lambda data, affine: (data.astype(np.float64), affine))(case)
        expected = np.asarray(nibabel.load(_file(case, "t1")).dataobj)
        assert brats.main(["-i", str(tmp_path / "raw"), "-d", "501", "-np", "1"]) == 0
        dataset = nnunet_raw / "Dataset501_BraTS"
        image = nibabel.load(dataset / "imagesTr" / f"{GOOD}_0000.nii.gz")
        assert image.get_data_dtype() == np.float32
        np.testing.assert_array_equal(np.asarray(image.dataobj), expected)
        assert nibabel.load(dataset / "imagesTr" / f"{GOOD}_0002.nii.gz").shape == (24, 24, 24)
        assert nibabel.load(dataset / "labelsTr" / f"{GOOD}.nii.gz").get_data_dtype() == np.uint8
