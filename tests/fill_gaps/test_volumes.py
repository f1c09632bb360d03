"""All-zero volumes in every format that nnU-Net reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from helpers.cohorts.gaps import DIRECTION, fill, snapshot
from helpers.tiny_model import write_image, write_json
from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
from skimage import io

from nnunet_hetero.fill_gaps.case_folder import CaseFolder
from nnunet_hetero.fill_gaps.fill import undo
from nnunet_hetero.fill_gaps.record import RECORD_NAME


def _write_itk(file: Path, array: np.ndarray) -> None:
    write_image(file, array, 1.5, (3.25, -7.5, 11.0), DIRECTION)


def _write_png(file: Path, array: np.ndarray) -> None:
    io.imsave(file, array[0].astype(np.uint8), check_contrast=False)


def _write_tif(file: Path, array: np.ndarray) -> None:
    tifffile.imwrite(file, array.astype(np.uint8), compression="zlib")


@pytest.mark.parametrize(
    ("ending", "write", "reader"),
    [
        (".nii.gz", _write_itk, None),
        (".nii.gz", _write_itk, "NibabelIO"),
        (".nii.gz", _write_itk, "NibabelIOWithReorient"),
        (".nii.gz", _write_itk, "SimpleITKIOWithReorient"),
        (".nii", _write_itk, None),
        (".nrrd", _write_itk, None),
        (".mha", _write_itk, None),
        (".png", _write_png, None),
        (".bmp", _write_png, None),
        (".tif", _write_png, None),
        (".tif", _write_tif, None),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_formats(tmp_path, ending, write, reader, capsys):
    """What nnU-Net's reader sees of a filled case is the real images, and zeros on the same grid."""
    folder = tmp_path / "Dataset501_Gaps"
    images = np.random.default_rng(0).integers(1, 200, (2, 5, 6, 7)).astype(np.float32)
    if write is _write_png:
        images = images[:, :1]
    for subfolder, names in (("imagesTr", ("a_0000", "b_0000", "b_0001")), ("labelsTr", ("a", "b"))):
        (folder / subfolder).mkdir(parents=True)
        for name in names:
            write(folder / subfolder / (name + ending), images[int(name.endswith("1"))])
            if write is _write_tif:
                write_json(folder / subfolder / f"{name[0]}.json", {"spacing": [2.0, 1.0, 1.0]})
    content = {"channel_names": {"0": "A", "1": "B"}, "labels": {}, "numTraining": 2, "file_ending": ending}
    if reader is not None:
        content["overwrite_image_reader_writer"] = reader
    write_json(folder / "dataset.json", content)
    before = snapshot(folder)

    assert fill(folder).missing == {"a": ["B"]}
    files = [str(folder / "imagesTr" / f"a_000{channel}{ending}") for channel in (0, 1)]
    read = determine_reader_writer_from_dataset_json(content, files[0], verbose=False)().read_images
    (one, grid), (zero, same) = read(files[:1]), read(files[1:])
    assert not zero.any() and zero.shape == one.shape
    for key, value in grid.get("sitk_stuff", grid.get("nibabel_stuff", {})).items():
        np.testing.assert_array_equal(value, same.get("sitk_stuff", same.get("nibabel_stuff"))[key])
    np.testing.assert_array_equal(grid["spacing"], same["spacing"])
    both, _ = read(files)
    np.testing.assert_array_equal(both, np.concatenate([one, zero]))
    assert "ERROR" not in capsys.readouterr().out
    assert set(snapshot(folder)) - set(before) == {RECORD_NAME, f"imagesTr/a_0001{ending}"}
    undo(CaseFolder.of_dataset(folder))
    assert snapshot(folder) == before
