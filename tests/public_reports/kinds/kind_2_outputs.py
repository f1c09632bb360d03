"""Kind 2: results kept because a file exists, and outputs over inputs."""

from __future__ import annotations

import json

import numpy as np
import torch
from helpers.tiny_model import write_case, write_image
from public_reports.situation import MODEL, QUICK, Place, Situation

EVERYTHING = ("--save_completed", "--save_uncertainty", "--save_probabilities")
COMPLETE = (*MODEL, "-device", "cpu", "--disable_tta", "--disable_progress_bar", "-npp", "0", "--num_samples", "2")


def _second_run_asks_for_less(place: Place) -> int:
    write_case(place.images, "a", present=(0, 2))
    assert place.predict(*EVERYTHING) == 0
    return place.predict()


def _nothing_of_the_first(place: Place) -> None:
    names = place.written()
    assert "a.nii.gz" in names and "volumes.csv" in names
    assert not [name for name in names if name.startswith(("completed/", "a.npz", "a.pkl", "uncertainty/a_"))]
    assert "\na," not in (place.out / "uncertainty" / "uncertainty.csv").read_text()


def _second_run_fails(place: Place) -> int:
    for name in "ab":
        write_case(place.images, name, present=(0, 2))
    assert place.predict(*EVERYTHING) == 0
    (place.images / "a_0000.nii.gz").write_bytes(b"no image")
    return place.predict(*EVERYTHING)


def _only_the_other_case(place: Place) -> None:
    assert not [name for name in place.written() if name.rpartition("/")[2].startswith(("a.", "a_"))]
    for name in ("modalities.json", "run.json"):
        content = json.loads((place.out / name).read_text())
        assert "a" not in content.get("cases", content)
    assert list(json.loads((place.out / "failed.json").read_text())) == ["a"]


def _completed_image_has_arrived(place: Place) -> int:
    write_case(place.images, "a", present=(0,))
    folders = ("-i", place.images, "-o", place.out)
    assert place.run("complete", *folders, *COMPLETE) == 0
    write_case(place.images, "a", present=(1,), seed=1)
    return place.run("complete", *folders, *COMPLETE, "--continue_prediction")


def _no_synthetic_t1c(place: Place) -> None:
    assert not (place.out / "completed" / "a_0001.nii.gz").exists()
    assert (place.out / "completed" / "a_0002.nii.gz").exists()


def _continued_with(change):
    def act(place: Place) -> int:
        write_case(place.images, "a", present=(0, 2))
        assert place.predict() == 0
        flags = change(place)
        return place.predict("--continue_prediction", *flags)

    return act


def _other_weights(place: Place) -> tuple:
    file = place.own_model().folder / "fold_0" / "checkpoint_final.pth"
    content = torch.load(file, weights_only=False)
    next(iter(content["network_weights"].values())).add_(0.1)
    torch.save(content, file)
    return ()


def _arrived(place: Place) -> tuple:
    write_case(place.images, "a", present=(1,))
    return ()


def _changed(place: Place) -> tuple:
    write_case(place.images, "a", present=(0, 2), seed=5)
    return ()


def _into(spelt: str, *commands: str):
    """Outputs into the folder of inputs, or what is spelt from there; inputs stay as they were."""

    def act(place: Place) -> int:
        for name in ("A", "A_0000"):
            write_case(place.images, name, labels=place.folder / "labels")
        (place.folder / "link").symlink_to(place.images)
        before = {file: file.read_bytes() for file in place.folder.rglob("*.nii.gz")}
        output = place.images / spelt
        calls = {
            "predict": ("-i", place.images, "-o", output, *MODEL, *QUICK),
            "complete": ("-i", place.images, "-o", output, *COMPLETE),
            "evaluate": ("-i", place.images, "-l", place.folder / "labels", "-o", output, *COMPLETE[:9]),
        }
        codes = {place.run(command, *calls[command]) for command in commands}
        assert {file: file.read_bytes() for file in place.folder.rglob("*.nii.gz")} == before
        assert not [file for file in place.folder.rglob("*.json")] and len(codes) == 1
        return codes.pop()

    return act


def _completed_as_inputs(place: Place) -> int:
    write_case(place.out / "completed", "a", present=(0,))
    before = sorted(place.out.rglob("*"))
    for flags in (("--save_completed",), ()):  # without the flag, they would be removed as those of an earlier run
        code = place.run("predict", "-i", place.out / "completed", "-o", place.out, *MODEL, *QUICK, *flags)
        assert sorted(place.out.rglob("*")) == before and code == 1
    return code


def _labels_of_a_data_set(place: Place) -> int:
    write_case(place.images, "a")
    own = place.own_model()
    write_image(own.labels / "a.nii.gz", np.ones((4, 4, 4), np.uint8))
    before = (own.labels / "a.nii.gz").read_bytes()
    code = place.predict(output=own.labels)
    assert (own.labels / "a.nii.gz").read_bytes() == before
    return code


AGAIN = "done again, such as a: "
IN = "would stand among the inputs"

SITUATIONS = [
    Situation("7", "outputs that are not asked for again", _second_run_asks_for_less, 0, check=_nothing_of_the_first),
    Situation("7b", "a second run that fails", _second_run_fails, 1, check=_only_the_other_case),
    Situation("7c", "a synthetic image of an arrived one", _completed_image_has_arrived, 0, check=_no_synthetic_t1c),
    Situation("7d", "continued when a modality has arrived", _continued_with(_arrived), 0, (AGAIN, "T1c is new")),
    Situation("7e", "continued when an image has changed", _continued_with(_changed), 0, (AGAIN, "has changed")),
    Situation("7f", "continued by another model", _continued_with(_other_weights), 0, (AGAIN, "weights is")),
    Situation("7g", "continued with another seed", _continued_with(lambda _: ("--seed", "3")), 0, (AGAIN, "seed is 3")),
    Situation("7h", "continued without a modality", _continued_with(lambda _: ("--missing", "T2")), 0, (AGAIN,)),
    Situation("8", "-o equal to -i", _into("", "predict", "complete", "evaluate"), 1, (IN,)),
    Situation("8b", "-o in -i", _into("out/here", "predict", "complete", "evaluate"), 1, (IN,)),
    Situation("8c", "-o in -i by a link", _into("../link/out", "predict", "complete"), 1, (IN,)),
    Situation("8d", "-o in the labels", _into("../labels", "evaluate"), 1, (IN,)),
    Situation("8e", "completed images of the output as inputs", _completed_as_inputs, 1, (IN,)),
    Situation("8f", "-o in labelsTr of a data set", _labels_of_a_data_set, 1, ("belongs to the data set",)),
]
