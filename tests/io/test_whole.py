"""Files that were cut off while they were written are told from whole ones."""

from __future__ import annotations

import gzip
import pickle

import numpy as np
import pytest
import torch
from helpers.tiny_model import write_image

from nnunet_hetero.io.whole import require_whole

RANDOM = np.random.default_rng(0)


def _write(file) -> None:
    image = RANDOM.integers(0, 9, (6, 7, 8)).astype(np.uint8)
    match file.suffix:
        case ".gz":
            write_image(file, image)
        case ".npz":
            np.savez_compressed(file, image=image)
        case ".pth":
            torch.save({"weights": torch.from_numpy(image)}, file)
        case ".pkl":
            file.write_bytes(pickle.dumps({"image": image, "spacing": [1.0, 2.0]}))


@pytest.mark.parametrize("name", ["a.nii.gz", "a.npz", "a.pth", "a.pkl"])
class TestRequireWhole:
    def test_whole(self, name, tmp_path):
        _write(tmp_path / name)
        require_whole(tmp_path / name)

    def test_cut_off_anywhere(self, name, tmp_path):
        file = tmp_path / name
        _write(file)
        content = file.read_bytes()
        for length in sorted({*range(12), *range(12, len(content), 17), *range(len(content) - 12, len(content))}):
            file.write_bytes(content[:length])
            with pytest.raises(OSError, match=f"Not written as a whole.*{name}"):
                require_whole(file)

    def test_hole_in_the_middle(self, name, tmp_path):
        """A block that the disk did not take, before it had room again."""
        if name == "a.pkl":
            pytest.skip("a pickle has no checksum")
        file = tmp_path / name
        _write(file)
        content = bytearray(file.read_bytes())
        middle = len(content) // 2
        content[middle : middle + 20] = bytes(20)
        file.write_bytes(content)
        with pytest.raises(OSError, match="Not written as a whole"):
            require_whole(file)


def test_text_and_several_members(tmp_path):
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"one") + gzip.compress(b"two"))
    require_whole(tmp_path / "a.json")
    require_whole(tmp_path / "a.gz")
