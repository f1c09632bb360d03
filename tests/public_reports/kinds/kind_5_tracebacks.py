"""Kind 5, and the section on tracebacks: what a disk refuses and a terminal cannot show is said in words.

Wrong flags and files have tests of their own beside this file, ``test_wrong_*.py``: about a thousand.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from helpers.results.invented_evaluation import random_scores, write_evaluation
from helpers.tiny_model import write_case
from public_reports.situation import MODEL, Place, Situation

from nnunet_hetero.io import console

EVALUATION = ("--subsets", "T1", "--metrics", "dice", "-device", "cpu", "--disable_tta", "--disable_progress_bar")


def _evaluate(place: Place, *flags: object) -> int:
    write_case(place.images, "a", labels=place.folder / "labels")
    folders = ("-i", place.images, "-l", place.folder / "labels", "-o", place.out)
    return place.run("evaluate", *folders, *MODEL, *EVALUATION, *flags)


def _printing_in(encoding: str, act: Callable[[Place], int]) -> Callable[[Place], int]:
    """A command whose output goes to a pipe of an encoding that knows few letters."""

    def in_it(place: Place) -> int:
        streams = {name: io.TextIOWrapper(io.BytesIO(), encoding=encoding) for name in ("stdout", "stderr")}
        with place.monkeypatch.context() as patch:
            for name, stream in streams.items():
                patch.setattr(sys, name, stream)
            code = act(place)
        for stream in streams.values():
            stream.flush()
            print(stream.buffer.getvalue().decode(encoding))
        return code

    return in_it


def _compare(place: Place) -> int:
    runs = [write_evaluation(place.folder / name, random_scores(seed)) for seed, name in enumerate(("Größe", "μ"))]
    return place.run("compare", *runs, "--names", "Größe", "腫瘍", "-o", place.out)


def _full_disk(act: Callable[[Place], int]) -> Callable[[Place], int]:
    def on_it(place: Place) -> int:
        def refuse(descriptor: int) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "out")

        place.monkeypatch.setattr(os, "fsync", refuse)
        return act(place)

    return on_it


def _fill_gaps(place: Place) -> int:
    model = place.own_model()
    next(model.images.glob("case_00_0002*")).unlink()
    return place.run("fill-gaps", "-d", "501")


def _read_only_model(place: Place) -> int:
    """As a system where the model folder belongs to somebody else; these tests may run as root."""
    make = Path.mkdir

    def refuse(self: Path, *arguments, **keywords) -> None:
        if "evaluation" in self.name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        make(self, *arguments, **keywords)

    place.monkeypatch.setattr(Path, "mkdir", refuse)
    return place.run("evaluate", *MODEL, *EVALUATION)


def _variable(value: str) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        write_case(place.images, "a")
        place.monkeypatch.setenv("nnUNet_results", value.format(place.model.results))
        return place.predict()

    return act


def _image(content: bytes) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        files = write_case(place.images, "a")
        files[0].write_bytes(content)
        return place.predict()

    return act


def _pretend_trainer(place: Place) -> int:
    """nnUNetv2_train with our trainer and a setting that does not exist: its traceback is one sentence."""
    place.monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    console.say_errors_in_words()
    from nnunet_hetero.errors import SettingsError

    sys.excepthook(SettingsError, SettingsError("Unknown setting(s) ['width'] under 'hetero_modal'."), None)
    return 1


def _with(*flags: str) -> Callable[[Place], int]:
    def act(place: Place) -> int:
        write_case(place.images, "a")
        return place.predict(*flags)

    return act


SITUATIONS = [
    Situation("21", "processes below 0", _with("-npp", "-1"), 1, ("-npp: '-1' is no whole number, 0 or more",)),
    Situation("21a", "a device that is none", _with("-device", "foo"), 1, ("-device foo", "cuda, cpu, mps")),
    Situation("21b", "a fold that is none", _with("-f", "abc"), 1, ("-f: 'abc' is no fold",)),
    Situation("21c", "a data set that is not there", _with("-d", "999"), 1, ("999",)),
    Situation("t1", "evaluate in a Latin-1 terminal", _printing_in("iso8859-1", _evaluate), 0, ("Dice", "Written to")),
    Situation("t1a", "evaluate into an ASCII pipe", _printing_in("ascii", _evaluate), 0, ("Dice", "Written to")),
    Situation("t1b", "compare in a Latin-1 terminal", _printing_in("iso8859-15", _compare), 0, ("Größe", "??")),
    Situation("t1c", "compare into an ASCII pipe", _printing_in("ascii", _compare), 0, ("Grosse", "??")),
    Situation("t2", "evaluate on a full disk", _full_disk(_evaluate), 1, ("error: ", "No space left", "Make room")),
    Situation("t2a", "fill-gaps on a full disk", _full_disk(_fill_gaps), 1, ("error: ", "No space left")),
    Situation("t2b", "evaluate in a model folder of others", _read_only_model, 1, ("Permission denied", "with -o")),
    Situation("t3", "a variable with ~", _variable("~/x"), 1, ("nnUNet_results", "write the whole path")),
    Situation("t3a", "a variable in quotation marks", _variable('"{}"'), 1, ("nnUNet_results", "quotation marks")),
    Situation("t3b", "a variable with a blank at its end", _variable("{} "), 1, ("nnUNet_results", "blanks")),
    Situation("t3c", "a relative path in a variable", _variable("results"), 1, ("nnUNet_results", "working directory")),
    Situation("t4", "an image of no bytes", _image(b""), 1, ("a_0000.nii.gz", "empty")),
    Situation("t4a", "an image in NIfTI-2", _image(b"\x1c\x02" + bytes(600)), 1, ("a_0000.nii.gz", "NIfTI-2")),
    Situation("t5", "an error of a setting in nnUNetv2_train", _pretend_trainer, 1, ("error: Unknown setting",)),
]
