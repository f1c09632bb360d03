"""Tiny raw BraTS folders, made of phantoms."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from helpers.phantoms import phantom

FILES = ("t1", "t1ce", "t2", "flair", "seg")


@pytest.fixture
def write_case() -> Callable[..., Path]:
    """Function that writes one case as BraTS does: ``write_case(folder, index, ending, without, seg)`` → folder."""

    def write(
        folder: Path, index: int = 1, ending: str = ".nii.gz", without: tuple[str, ...] = (), seg: str = ""
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        source = phantom(index)
        for what in FILES:
            if what not in without:
                name = seg if what == "seg" and seg else f"{folder.name}_{what}{ending}"
                nibabel.save(nibabel.Nifti1Image(source[what], source["affine"]), folder / name)
        return folder

    return write


@pytest.fixture
def nnunet_raw(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty nnUNet_raw, with the variable set and nnU-Net's other two folders unset."""
    folder = tmp_path / "nnUNet_raw"
    folder.mkdir()
    monkeypatch.setenv("nnUNet_raw", str(folder))
    monkeypatch.delenv("nnUNet_preprocessed", raising=False)
    monkeypatch.delenv("nnUNet_results", raising=False)
    return folder


@pytest.fixture
def write_case_since_2023() -> Callable[..., Path]:
    """Function that writes one case as BraTS does since 2023: ``write(folder, index, without, labels)`` → folder.

    ``labels`` has the new value of each label of the phantom, necrosis, oedema and enhancing tumour.
    """

    def write(
        folder: Path, index: int = 1, without: tuple[str, ...] = (), labels: tuple[int, int, int] = (1, 2, 3)
    ) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        source = phantom(index)
        seg = np.select([source["seg"] == raw for raw in (1, 2, 4)], labels, default=0).astype(np.uint8)
        images = {"t1n": source["t1"], "t1c": source["t1ce"], "t2w": source["t2"], "t2f": source["flair"], "seg": seg}
        for what, data in images.items():
            if what not in without:
                nibabel.save(nibabel.Nifti1Image(data, source["affine"]), folder / f"{folder.name}-{what}.nii.gz")
        return folder

    return write


@pytest.fixture
def write_vsd_case() -> Callable[..., Path]:
    """Function that writes one case as the Virtual Skeleton Database did: ``write(folder, index, ...)`` → folder."""

    def write(
        folder: Path,
        index: int = 1,
        without: tuple[str, ...] = (),
        segmentation: str = "VSD.Brain_3more.XX.O.OT",
        numbered: bool = True,
        labels: tuple[int, int, int] = (1, 2, 4),
    ) -> Path:
        source = phantom(index)
        seg = np.select([source["seg"] == raw for raw in (1, 2, 4)], labels, default=0).astype(np.int16)
        images = {"MR_T1": source["t1"], "MR_T1c": source["t1ce"], "MR_T2": source["t2"], "MR_Flair": source["flair"]}
        names = {f"VSD.Brain.XX.O.{what}": data for what, data in images.items()} | {segmentation: seg}
        for number, (name, data) in enumerate(names.items(), start=54512 + 10 * index):
            if name.rpartition("_")[2] not in without and not (name == segmentation and "OT" in without):
                place = folder / (f"{name}.{number}" if numbered else name)
                place.mkdir(parents=True, exist_ok=True)
                write_mha(place / f"{name}.{number}.mha", data, source["affine"])
        return folder

    return write


def write_mha(path: Path, data: np.ndarray, affine: np.ndarray) -> None:
    """Write voxels, (I, J, K), with a grid in RAS as MetaImage, which counts in LPS."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image = sitk.GetImageFromArray(data.T)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    sitk.WriteImage(image, str(path), useCompression=True)
