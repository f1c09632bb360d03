"""Images that the disk did not take as a whole."""

from __future__ import annotations

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from nnunetv2.imageio.natural_image_reader_writer import NaturalImage2DIO
from nnunetv2.imageio.nibabel_reader_writer import NibabelIOWithReorient
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.imageio.tif_reader_writer import Tiff3DIO

from nnunet_hetero.cases.label_maps.written_image import require_written, write_label_map

LABELS = np.zeros((9, 10, 11), np.uint8)
LABELS[3:5, 3:6, 3:7] = 2
FLAT = np.zeros((1, 30, 31), np.uint8)
FLAT[0, 3:9, 5:20] = 1
ITK = {"sitk_stuff": {"spacing": (1.0,) * 3, "origin": (0.0,) * 3, "direction": tuple(np.eye(3).ravel())}}
NIBABEL = {"nibabel_stuff": {"original_affine": np.diag([-1.0, -1, 1, 1]), "reoriented_affine": np.eye(4)}}

FORMATS = {
    "a.nii.gz": (LABELS, ITK, SimpleITKIO),
    "a.nrrd": (LABELS, ITK, SimpleITKIO),
    "a.mha": (LABELS, ITK, SimpleITKIO),
    "a.gipl": (LABELS, ITK, SimpleITKIO),
    "b.nii.gz": (LABELS, NIBABEL, NibabelIOWithReorient),
    "b.nii": (LABELS, NIBABEL, NibabelIOWithReorient),
    "a.png": (FLAT, {}, NaturalImage2DIO),
    "a.bmp": (FLAT, {}, NaturalImage2DIO),
    "a.tif": (LABELS, {"spacing": [1.0] * 3}, Tiff3DIO),
}


@pytest.mark.parametrize("name", FORMATS)
class TestLabelMap:
    def test_whole(self, name, tmp_path):
        label_map, properties, reader = FORMATS[name]
        write_label_map(label_map, tmp_path / name, properties, reader())
        np.testing.assert_array_equal(reader().read_seg(str(tmp_path / name))[0].squeeze(), label_map.squeeze())

    def test_cut_off(self, name, tmp_path):
        label_map, properties, reader = FORMATS[name]

        class FullDisk(reader):
            """Writes what fits, and says nothing; most of what is cut off is zero."""

            share = 1.0

            def write_seg(self, seg, output_fname, properties):
                super().write_seg(seg, output_fname, properties)
                content = (tmp_path / name).read_bytes()
                (tmp_path / name).write_bytes(content[: int(self.share * len(content))])

        # The last bytes of .tif and .nrrd are no voxels, so only they may go unnoticed.
        for share in (0, 0.1, 0.3, 0.5, 0.7, 0.9):
            FullDisk.share = share
            with pytest.raises(OSError, match="Not written as a whole"):
                write_label_map(label_map, tmp_path / name, properties, FullDisk())


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nii", "a.nrrd", "a.mha", "a.gipl"])
def test_other_voxels_than_were_written(name, tmp_path):
    """A block that the disk did not take, in a file that is complete in itself."""
    image = np.random.default_rng(0).normal(size=(6, 7, 8)).astype(np.float32)
    sitk.WriteImage(sitk.GetImageFromArray(image), str(tmp_path / name))

    def read(path):
        return sitk.GetArrayFromImage(sitk.ReadImage(path))

    require_written(tmp_path / name, image, read)
    image[2, 3, 4] += 1
    with pytest.raises(OSError, match="other voxels are read than were written"):
        require_written(tmp_path / name, image, read)


def test_voxels_without_a_number(tmp_path):
    image = np.full((2, 3, 4), np.nan, np.float32)
    nibabel.save(nibabel.Nifti1Image(image, np.eye(4)), tmp_path / "a.nii.gz")
    require_written(tmp_path / "a.nii.gz", image, lambda path: np.asanyarray(nibabel.load(path).dataobj))
