"""Kind 5: what a full disk, a kill or a second process leaves."""

from __future__ import annotations

import json
import os
import shutil

from helpers.accidents.leftovers import leave_draft
from helpers.tiny_model import write_case
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from public_reports.situation import MODEL, Place, Situation

from nnunet_hetero.inference.output import case_writer
from nnunet_hetero.io.atomic_files import alone_in

EVALUATE = (*MODEL, "-device", "cpu", "--disable_tta", "--disable_progress_bar", "--subsets", "T1", "T1+T2")
COMPLETE = (*MODEL, "-device", "cpu", "--disable_tta", "--disable_progress_bar", "-npp", "0", "--num_samples", "2")


def _cut(file: str) -> None:
    os.truncate(file, os.path.getsize(file) // 2)


def _segmentation_is_cut_off(place: Place) -> int:
    """As ITK leaves it on a full disk, without a word."""
    write_case(place.images, "a", present=(0, 2))
    write = SimpleITKIO.write_seg

    def full(self, segmentation, file, properties):
        write(self, segmentation, file, properties)
        _cut(file)

    place.monkeypatch.setattr(SimpleITKIO, "write_seg", full)
    return place.predict("--save_probabilities")


def _completed_is_cut_off(place: Place) -> int:
    write_case(place.images, "a", present=(0, 2))
    write = case_writer.sitk.WriteImage

    def full(image, file, *rest):
        write(image, file, *rest)
        _cut(file)

    place.monkeypatch.setattr(case_writer.sitk, "WriteImage", full)
    return place.run("complete", "-i", place.images, "-o", place.out, *COMPLETE)


def _nothing_published(place: Place) -> None:
    names = place.written()
    assert not [name for name in names if name.endswith((".nii.gz", ".npz", ".pkl"))]
    assert "a" not in json.loads((place.out / "modalities.json").read_text() if "modalities.json" in names else "{}")
    assert "Not written as a whole" in json.loads((place.out / "failed.json").read_text())["a"]["reason"]
    assert not [entry for entry in place.out.iterdir() if entry.name.startswith(".")]


def _evaluate(place: Place) -> int:
    folders = ("-i", place.images, "-l", place.folder / "labels", "-o", place.out)
    return place.run("evaluate", "-d", "501", *folders, *EVALUATE[2:], "--completion")


def _evaluated_after(damage):
    def act(place: Place) -> int:
        write_case(place.images, "a", labels=place.folder / "labels")
        assert _evaluate(place) == 0
        shutil.copytree(place.out, place.folder / "whole")
        damage(place)
        return _evaluate(place)

    return act


def _same_evaluation(place: Place) -> None:
    for name in ("metrics.csv", "completion.csv", "table.md"):
        assert sorted((place.out / name).read_text().splitlines()) == sorted(
            (place.folder / "whole" / name).read_text().splitlines()
        )


def _leftovers(place: Place) -> int:
    write_case(place.images, "a", present=(0, 2))
    for draft in (leave_draft(place.out / "a", None), leave_draft(place.out / "run.json")):
        assert draft.exists()
    return place.predict()


def _no_leftovers(place: Place) -> None:
    assert not [entry for entry in place.out.rglob("*") if entry.name.startswith(".")]


def _converted_after_a_kill(place: Place) -> int:
    own = place.own_model()
    place.run("convert", "phantom", "-o", place.folder / "brats", "--cases", "2", "--size", "16")
    leave_draft(own.raw / "Dataset502_BraTS" / "unfinished_dataset.json")
    return place.run("convert", "brats", "-i", place.folder / "brats", "-d", "502", "-np", "1")


def _second(command: str, *words: object):
    def act(place: Place) -> int:
        write_case(place.images, "a", labels=place.folder / "labels")
        place.out.mkdir()
        with alone_in(place.out):
            if command == "evaluate":
                return _evaluate(place)
            return place.run(command, "-i", place.images, "-o", place.out, *words)

    return act


def _second_fills(place: Place) -> int:
    own = place.own_model()
    write_case(own.images, "a", present=(0,), labels=own.labels)
    with alone_in(own.raw / own.dataset):
        return place.run("fill-gaps", "-d", "501")


BUSY = ("Another process is at work in",)

SITUATIONS = [
    Situation("19", "a segmentation that is cut off", _segmentation_is_cut_off, 1, check=_nothing_published),
    Situation("19b", "a completed image that is cut off", _completed_is_cut_off, 1, check=_nothing_published),
    Situation(
        "20",
        "half-written settings of an evaluation",
        _evaluated_after(lambda place: _cut(str(place.out / "settings.json"))),
        0,
        ("settings.json is damaged",),
        check=_same_evaluation,
    ),
    Situation(
        "20b",
        "completion.csv that was cut off",
        _evaluated_after(lambda place: _cut(str(place.out / "completion.csv"))),
        0,
        check=_same_evaluation,
    ),
    Situation(
        "20c",
        "metrics.csv that was cut off",
        _evaluated_after(lambda place: _cut(str(place.out / "metrics.csv"))),
        0,
        check=_same_evaluation,
    ),
    Situation("20d", "drafts of processes that are gone", _leftovers, 0, check=_no_leftovers),
    Situation("20e", "a conversion that was killed at its first record", _converted_after_a_kill, 0),
    Situation("22", "a second evaluation", _second("evaluate"), 1, BUSY),
    Situation("22b", "a second completion", _second("complete", *COMPLETE), 1, BUSY),
    Situation("22c", "a second fill-gaps", _second_fills, 1, BUSY),
]
