"""Nodes that differ in versions, files or arguments do not begin."""

from __future__ import annotations

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.distributed.agreement import facts, require_agreement


class Gathered(Ranks):
    """Ranks of which all others are made up."""

    def gather(self, values):
        return [*values, ("node2", self.__dict__["other"])]

    @classmethod
    def with_other(cls, other: dict) -> Gathered:
        ranks = cls(0, 2)
        object.__setattr__(ranks, "other", other)
        return ranks


@pytest.fixture
def found(tmp_path):
    (tmp_path / "plans.json").write_text("{}")
    return facts([tmp_path / "plans.json", tmp_path / "splits_final.json"], ["501", "3d_fullres", "0"])


def test_facts_follow_versions_files_and_arguments(found, tmp_path):
    assert {"Python", "torch", "nnunetv2", "nnunet_hetero"} < found.keys()
    assert found["the arguments"] == "501 3d_fullres 0"
    assert found["SHA-256 of splits_final.json"] == "no such file"
    (tmp_path / "plans.json").write_text("{ }")
    assert facts([tmp_path / "plans.json"], [])["SHA-256 of plans.json"] != found["SHA-256 of plans.json"]


def test_the_same_is_fine(found):
    require_agreement(Gathered.with_other(dict(found)), found)


@pytest.mark.parametrize("name", ["torch", "nnunet_hetero", "SHA-256 of plans.json", "the arguments"])
def test_what_differs_is_named_with_the_node(found, name):
    with pytest.raises(SettingsError, match=rf"differ in {name}: other on rank 1 \(node2\)"):
        require_agreement(Gathered.with_other({**found, name: "other"}), found)


def test_one_that_knows_less_differs(found):
    with pytest.raises(SettingsError, match="differ in"):
        require_agreement(Gathered.with_other({}), found)
