"""Nodes that differ in versions, files or arguments do not begin."""

from __future__ import annotations

import hashlib

import pytest

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.ranks import Ranks
from nnunet_hetero.training.distributed.agreement import facts, require_agreement, require_same_files


class Gathered(Ranks):
    """Ranks of which all others are made up."""

    def gather(self, values):
        """In turn what another one has, the last of it from then on."""
        others = self.__dict__["others"]
        other = others.pop(0) if len(others) > 1 else others[0]
        return [*values, ("node2", other) if isinstance(values[0], tuple) else other]

    @classmethod
    def with_other(cls, *others: dict) -> Gathered:
        ranks = cls(0, 2)
        object.__setattr__(ranks, "others", list(others))
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


class TestFilesOfBefore:
    @pytest.fixture
    def checkpoint(self, tmp_path, monkeypatch):
        """A file, and what a node says that has it."""
        monkeypatch.setattr("nnunet_hetero.training.distributed.agreement.PAUSE", 0.0)
        (tmp_path / "checkpoint_latest.pth").write_bytes(b"weights")
        return tmp_path / "checkpoint_latest.pth", {
            "SHA-256 of checkpoint_latest.pth": hashlib.sha256(b"weights").hexdigest()[:16]
        }

    def test_a_node_that_sees_it_late_is_waited_for(self, checkpoint):
        file, there = checkpoint
        missing = dict.fromkeys(there, "no such file")
        ranks = Gathered.with_other(missing, missing, there)
        require_same_files(ranks, [file])
        assert ranks.__dict__["others"] == [there]

    def test_a_node_that_never_sees_it_is_named(self, checkpoint):
        file, there = checkpoint
        with pytest.raises(SettingsError, match=r"differ in SHA-256 of checkpoint_latest\.pth: no such file on rank 1"):
            require_same_files(Gathered.with_other(dict.fromkeys(there, "no such file")), [file])
