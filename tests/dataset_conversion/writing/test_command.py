"""What all converters offer on the command line."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from nnunet_hetero.dataset_conversion.writing.cases import RawCase
from nnunet_hetero.dataset_conversion.writing.command import add_common_arguments, select_modalities
from nnunet_hetero.dataset_conversion.writing.dataset import DatasetSpec, LabelScheme
from nnunet_hetero.errors import SettingsError

SPEC = DatasetSpec(("T1", "T2", "FLAIR"), LabelScheme({"background": 0, "tumour": 1}, {0: 0, 1: 1}), "a cohort")
CASES = [
    RawCase("a", (Path("t1"), None, Path("flair")), Path("seg")),
    RawCase("b", (Path("4d"), Path("4d"), Path("4d")), None, volumes=(2, 0, 1)),
]


class TestSelection:
    def test_in_the_order_that_is_given(self):
        spec, (first, second) = select_modalities(SPEC, CASES, ["flair", "T1"])
        assert spec.channel_names == ("FLAIR", "T1")
        assert first.images == (Path("flair"), Path("t1")) and first.label == Path("seg")
        assert second.volumes == (1, 2)

    @pytest.mark.parametrize(
        ("names", "message"),
        [(["T9"], "'T9' is none of T1, T2, FLAIR"), (["T1", "t1"], "a name stands twice in T1 t1")],
    )
    def test_impossible(self, names, message):
        with pytest.raises(SettingsError, match=message):
            select_modalities(SPEC, CASES, names)


def test_flags_and_their_defaults():
    parser = argparse.ArgumentParser()
    add_common_arguments(parser, "Cohort", "the raw data")
    args = parser.parse_args(["-i", "RAW", "-d", "7"])
    assert (args.name, args.dataset_id, args.dry_run, args.unlabelled) == ("Cohort", 7, False, "refuse")
    parser = argparse.ArgumentParser()
    add_common_arguments(parser, "Cohort", "the raw data", unlabelled="test")
    assert parser.parse_args(["-i", "RAW", "-d", "7"]).unlabelled == "test"
