"""What subsets of a case share."""

from __future__ import annotations

import pytest
from helpers.evaluation import evaluate, labelled_folders
from helpers.tiny_model import read_array, write_image
from nnunetv2.utilities.plans_handling.plans_handler import ConfigurationManager

from nnunet_hetero.evaluation.sweep import all_subsets as sweep
from nnunet_hetero.inference.engine.subset_prediction import predict_subsets
from nnunet_hetero.modalities import all_subsets


@pytest.fixture(autouse=True)
def _environment(nnunet_folders):
    pass


@pytest.fixture
def folders(tmp_path):
    return labelled_folders(tmp_path)


class TestSharing:
    """What a case costs: how often it is preprocessed, and in how many passes over its tiles."""

    @pytest.fixture
    def passes(self, monkeypatch):
        """The subsets of each pass."""
        seen = []

        def counted(model, data, case, targets, *arguments):
            seen.append([target.subset for target in targets])
            return predict_subsets(model, data, case, targets, *arguments)

        monkeypatch.setattr(sweep, "predict_subsets", counted)
        return seen

    def test_subsets_with_one_head_share(self, tiny_model, folders, passes):
        evaluate(tiny_model, **folders)
        small = [(0,), (1,), (0, 1)]
        assert [sorted(one) for one in passes] == [sorted(small), sorted(set(all_subsets(4)) - set(small))]

    def test_all_share_if_all_heads_are_the_same(self, tiny_model, folders, passes):
        for channel in range(4):
            file = folders["images"] / f"a_{channel:04d}.nii.gz"
            write_image(file, read_array(file) + 100)
        evaluate(tiny_model, **folders)
        assert [len(one) for one in passes] == [15]

    def test_the_mask_matters_for_modalities_that_are_normalised_in_it(self, tiny_model, folders, passes, monkeypatch):
        """Here two images have one box around them, and zeros within: only the z-score inside the mask sees these."""
        for channel, hole in ((0, 5), (1, 6)):
            image = read_array(folders["images"] / f"a_{channel:04d}.nii.gz") + 100
            image[hole, :, 0] = 0
            write_image(folders["images"] / f"a_{channel:04d}.nii.gz", image)
        evaluate(tiny_model, **folders, subsets=["T1", "T1c"])
        assert len(passes) == 2
        monkeypatch.setattr(ConfigurationManager, "use_mask_for_norm", [False] * 4)
        evaluate(tiny_model, **{**folders, "output": folders["output"] / "2"}, subsets=["T1", "T1c"])
        assert len(passes) == 3
