"""Images for a page: where they lie, what is cut off, and what is left of their numbers."""

from __future__ import annotations

import base64
import gzip
import io

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.looking.viewed import MIDDLE, SIZE, head, label_map, write
from PIL import Image

from nnunet_hetero.errors import DataError
from nnunet_hetero.viewer.picture import STEPS, Mosaic, Picture, as_is, as_labels, as_mosaic, joined


def decoded(text: str) -> nibabel.Nifti1Image:
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))


def unpacked(mosaic: Mosaic) -> tuple[np.ndarray, nibabel.Nifti1Header]:
    """Numbers ``(x, y, z)`` and header, as the page's script gets them."""
    header = nibabel.Nifti1Header(base64.b64decode(mosaic.header)[:348], check=False)
    nx, ny, nz = header.get_data_shape()
    sheet = np.asarray(Image.open(io.BytesIO(base64.b64decode(mosaic.png))))
    tiles = sheet.reshape(-1, ny, mosaic.columns, nx).transpose(0, 2, 1, 3).reshape(-1, ny, nx)[:nz]
    return tiles.transpose(2, 1, 0) * float(header["scl_slope"]) + float(header["scl_inter"]), header


class TestReading:
    @pytest.mark.parametrize("ending", [".nii.gz", ".nii", ".nrrd", ".mha"])
    @pytest.mark.parametrize("orientation", ["LPS", "RAS", "PIR", "SAL"])
    def test_a_voxel_is_where_it_is_whatever_the_file(self, tmp_path, ending, orientation):
        write(tmp_path / f"a{ending}", label_map(), orientation)
        picture = Picture.read(tmp_path / f"a{ending}")
        middle = np.argwhere(picture.data == 3).mean(axis=0)
        place = (picture.affine @ [*middle, 1])[:3]
        # In millimetres, right-anterior-superior; x and y of LPS change their signs.
        expected = (30 - 1.5 * MIDDLE[0], 33 - 1.5 * MIDDLE[1], -32 + 2.0 * MIDDLE[2])
        assert place == pytest.approx(expected, abs=1e-3)

    def test_the_affine_is_nibabels(self, tmp_path):
        write(tmp_path / "a.nii.gz", head(), "PIR")
        assert np.allclose(Picture.read(tmp_path / "a.nii.gz").affine, nibabel.load(tmp_path / "a.nii.gz").affine)

    def test_two_axes_are_one_slice(self, tmp_path):
        sitk.WriteImage(sitk.GetImageFromArray(np.arange(12, dtype=np.uint8).reshape(3, 4)), str(tmp_path / "a.png"))
        assert Picture.read(tmp_path / "a.png").data.shape == (4, 3, 1)

    def test_what_is_no_image(self, tmp_path):
        (tmp_path / "a.nii.gz").write_bytes(b"text")
        with pytest.raises(DataError, match=r"a\.nii\.gz cannot be read"):
            Picture.read(tmp_path / "a.nii.gz")

    def test_colours(self, tmp_path):
        sitk.WriteImage(sitk.GetImageFromArray(np.zeros((3, 4, 3), np.uint8), isVector=True), str(tmp_path / "a.png"))
        with pytest.raises(DataError, match="one number a voxel"):
            Picture.read(tmp_path / "a.png")


class TestGrid:
    def test_one_grid_and_another(self):
        picture = Picture(head(), np.diag([1.5, 1.5, 2, 1]))
        moved = picture.affine.copy()
        moved[0, 3] += 0.5
        assert picture.lies_on(Picture(label_map(), picture.affine))
        assert not picture.lies_on(Picture(label_map(), moved))
        assert not picture.lies_on(Picture(head()[1:], picture.affine))

    def test_a_crop_stays_in_its_place(self):
        picture = Picture(label_map(), np.diag([1.5, 1.5, 2, 1]) @ np.eye(4))
        box = picture.box()
        cropped = picture.cropped(box)
        assert (cropped.data == 3).sum() == (picture.data == 3).sum() and cropped.data.size < picture.data.size / 8
        one = np.argwhere(picture.data == 3)[0]
        other = np.argwhere(cropped.data == 3)[0]
        assert picture.affine @ [*one, 1] == pytest.approx(cropped.affine @ [*other, 1])

    def test_nothing_to_see_is_not_cropped(self):
        assert Picture(np.zeros(SIZE), np.eye(4)).box() == tuple(slice(0, size) for size in SIZE)

    def test_boxes_are_joined(self):
        assert joined([(slice(2, 5),), (slice(1, 3),)]) == (slice(1, 5),)


class TestEncoding:
    def test_numbers_come_back_up_to_half_a_step(self):
        data = np.random.default_rng(0).normal(1000, 200, SIZE)
        picture = Picture(data, np.diag([-1.5, 1.5, 2, 1]))
        found, header = unpacked(as_mosaic(picture, float(data.min()), float(data.max())))
        assert np.abs(found - data).max() <= 0.501 * (data.max() - data.min()) / STEPS
        assert np.allclose(header.get_best_affine(), picture.affine)

    def test_not_a_number_is_the_lowest(self):
        data = np.full(SIZE, 5.0)
        data[3, 4, 5] = np.nan
        assert unpacked(as_mosaic(Picture(data, np.eye(4)), 0, 10))[0][3, 4, 5] == 0

    def test_labels_and_all_digits(self):
        assert (decoded(as_labels(Picture(label_map(), np.eye(4)))).get_fdata() == label_map()).all()
        data = np.random.default_rng(0).normal(size=SIZE).astype(np.float32)
        assert (decoded(as_is(Picture(data, np.eye(4)))).get_fdata() == data).all()

    def test_the_window_leaves_the_background_out(self):
        low, high = Picture(head(), np.eye(4)).window()
        assert low == 0 and high == 1000
        low, high = Picture(np.where(head() > 0, head(), -1000), np.eye(4)).window()
        assert low == -1000 and high == 1000
