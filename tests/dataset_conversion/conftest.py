"""Tiny raw BraTS folders, made of phantoms."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import nibabel
import pytest

from nnunet_hetero.dataset_conversion.phantom import make_phantom

FILES = ("t1", "t1ce", "t2", "flair", "seg")


@cache
def phantom(index: int) -> dict:
    """Phantom `index` on a grid of 24 voxels a side, 8 mm."""
    return make_phantom(index, size=24, seed=5)


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
