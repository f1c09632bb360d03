"""Pairs of scans compared."""

from __future__ import annotations

import csv
import io
import json

import pytest
from helpers.results.two_scans import calibration_of, write_scans

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.evaluation.change.changes import (
    COLUMNS,
    changes_of,
    csv_text,
    folder_for,
    in_words,
    require_comparable,
    require_two_scans,
)
from nnunet_hetero.evaluation.change.decision import Interval, Thresholds
from nnunet_hetero.evaluation.change.pairs import Pair
from nnunet_hetero.evaluation.change.scans import Scans

BEFORE = {"ann": {"modalities": ["T1", "T2"], "sizes": [20.0, 5.0]}}
AFTER = {
    "grown": {"modalities": ["T1"], "sizes": [60.0, 5.1]},
    "gone": {"modalities": ["T1", "T2"], "sizes": [2.0, 0.0]},
    "other": {"modalities": ["T2"], "sizes": [20.0, 5.0]},
}


@pytest.fixture
def scans(tmp_path):
    write_scans(tmp_path / "before", BEFORE)
    write_scans(tmp_path / "after", AFTER)
    return Scans.read(tmp_path / "before"), Scans.read(tmp_path / "after")


@pytest.fixture
def changes(scans):
    pairs = [Pair("ann", name) for name in AFTER]
    return {(change.pair.after, change.region): change for change in changes_of(*scans, pairs, Thresholds(), 0.9)}


def test_decisions(changes):
    assert {key: change.decision for key, change in changes.items()} == {
        ("grown", "whole tumor"): "PD",
        ("grown", "enhancing tumor"): "undecided",
        ("gone", "whole tumor"): "PR",
        ("gone", "enhancing tumor"): "PR",
        ("other", "whole tumor"): "undecided",
        ("other", "enhancing tumor"): "undecided",
    }


def test_the_ratio_is_that_of_intervals_at_half_the_error(scans, changes):
    before, after = (
        scans[0].volumes("ann", 0.95)["whole tumor"].interval,
        scans[1].volumes("grown", 0.95)["whole tumor"].interval,
    )
    change = changes["grown", "whole tumor"]
    assert change.ratio == Interval(before.low and after.low / before.high, after.high / before.low)
    assert change.measured == pytest.approx(3)
    assert change.subsets == ("T1+T2", "T1")


def test_a_scan_without_an_interval_leaves_it_undecided_and_says_why(changes):
    change = changes["other", "whole tumor"]
    assert change.ratio is None
    assert change.note.startswith("no interval after: 0 patient(s) with T2")


def test_the_table_has_a_row_for_each_region_of_each_pair(changes):
    rows = list(csv.DictReader(io.StringIO(csv_text(list(changes.values())))))
    assert len(rows) == 6 and list(rows[0]) == list(COLUMNS)
    assert rows[0]["decision"] == "PD" and float(rows[0]["ratio_low"]) > 1.4
    assert rows[0]["unit"] == "ml" and rows[0]["volume_before"] == "20" and rows[0]["level"] == "0.9"
    assert rows[4]["ratio_low"] == "" and "T2" in rows[4]["note"]


def test_words_for_the_screen(changes):
    assert in_words(changes["grown", "whole tumor"]).startswith("ann → grown: whole tumor PD, ")
    assert "undecided, no interval after" in in_words(changes["other", "whole tumor"])


@pytest.mark.parametrize(
    ("other", "words"),
    [(calibration_of(weights="w1"), "different models"), (calibration_of(patients=25), "different calibrations")],
)
def test_other_models_or_calibrations_are_refused(tmp_path, scans, other, words):
    write_scans(tmp_path / "other", AFTER, other)
    with pytest.raises(SettingsError, match=words):
        require_comparable(scans[0], Scans.read(tmp_path / "other"))
    require_comparable(*scans)


class TestNothingIsSilent:
    """What speaks against relying on a comparison stands in its note."""

    @pytest.fixture
    def compared(self, tmp_path, scans):
        def compare(**changed):
            content = json.loads((tmp_path / "after" / "run.json").read_text())
            content["cases"]["grown"]["statements"].update(changed)
            (tmp_path / "after" / "run.json").write_text(json.dumps(content))
            after = Scans.read(tmp_path / "after")
            return changes_of(scans[0], after, [Pair("ann", "grown")], Thresholds(), 0.9)[0]

        return compare

    def test_images_that_are_not_what_their_names_say(self, tmp_path, compared):
        (tmp_path / "after" / "checks.csv").write_text(
            "case,modalities,modality,check,looks,likeness,likeness_limit\n"
            "grown,T1,T1,suspicious,looks like T2,0.1,0.4\nother,T2,T2,suspicious,looks moved,0.1,0.4\n"
        )
        change = compared()
        assert change.note == "the images after may not be what their names say: T1 looks like T2"
        assert "PD" in in_words(change) and "T1 looks like T2" in in_words(change)

    def test_other_folds(self, compared):
        more = {region: [size, size] for region, size in (("whole tumor", 60.0), ("enhancing tumor", 5.1))}
        doubt = {key: [0.1, 0.1] for key in more}
        change = compared(folds=["0", "1"], sizes=more, disagreement=doubt)
        assert change.decision == "PD"
        assert change.note == "folds 0 predicted before, 0, 1 after, so a difference may be one of the folds"

    def test_other_units(self, compared):
        change = compared(unit="mm2")
        assert change.decision == "undecided" and change.note == "ml cannot be compared with mm2"


def test_a_scan_is_not_compared_with_itself(scans):
    require_two_scans(*scans, [Pair("ann", "grown")])
    with pytest.raises(SettingsError, match="'gone' would be compared with itself"):
        require_two_scans(scans[1], scans[1], [Pair("gone", "other"), Pair("gone", "gone")])


def test_one_scan_in_two_folders_is_not_compared_with_itself(tmp_path, scans):
    """Also if one of the two was predicted from a part of its images."""
    for when, case, roles in (("before", "ann", ("T1", "T2")), ("after", "grown", ("T1",))):
        content = json.loads((tmp_path / when / "run.json").read_text())
        stamps = {role: {"path": f"/in/a_{role}.nii.gz", "size": 1, "mtime_ns": 1} for role in roles}
        stamps["FLAIR"] = {"path": "/in/zeros.nii.gz", "size": 1, "mtime_ns": 1}
        content["cases"][case]["made_from"]["sources"] = stamps
        (tmp_path / when / "run.json").write_text(json.dumps(content))
    before, after = (Scans.read(tmp_path / when) for when in ("before", "after"))
    with pytest.raises(SettingsError, match=r"both predicted from /in/a_T1\.nii\.gz"):
        require_two_scans(before, after, [Pair("ann", "grown")])
    require_two_scans(before, after, [Pair("ann", "gone")])
    before.cases["ann"]["modalities"] = ["T2"]
    require_two_scans(before, after, [Pair("ann", "grown")])  # an absent modality's image of zeros is no scan


def test_the_results_do_not_go_into_the_folders_that_are_compared(tmp_path, scans):
    with pytest.raises(SettingsError, match="--after"):
        folder_for(tmp_path / "after", *scans)
    assert folder_for(tmp_path / "new", *scans).is_dir()
