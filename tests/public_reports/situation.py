"""A situation that people reported in public trackers, as data: what is arranged, what is run, what must come of it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from helpers.tiny_model import TinyModel

from nnunet_hetero.cli.main import main

MODEL = ("-d", "501", "-c", "3d_fullres", "-f", "0")
QUICK = ("-device", "cpu", "--disable_tta", "--disable_progress_bar", "-npp", "0", "-nps", "0", "--num_samples", "2")


@dataclass
class Place:
    """An empty folder, a tiny model, and the commands.

    Args:
        folder: Empty; images go to `images`, predictions to `out`.
        model: Shared with other tests: copy what you change, see `own_model`.
        monkeypatch: pytest's, for variables.
    """

    folder: Path
    model: TinyModel
    monkeypatch: pytest.MonkeyPatch

    @property
    def images(self) -> Path:
        """Input folder."""
        return self.folder / "images"

    @property
    def out(self) -> Path:
        """Output folder."""
        return self.folder / "out"

    def own_model(self) -> TinyModel:
        """A copy of the model's folders that may be changed; nnU-Net's variables point at it."""
        roots = {name: self.folder / name for name in ("raw", "preprocessed", "results")}
        for name, root in roots.items():
            shutil.copytree(getattr(self.model, name), root)
        below = self.model.folder.relative_to(self.model.results)
        self.model = TinyModel(**roots, dataset=self.model.dataset, folder=roots["results"] / below)
        for name, value in self.model.environment().items():
            self.monkeypatch.setenv(name, value)
        return self.model

    def predict(self, *flags: str, output: Path | None = None) -> int:
        """``nnunet_hetero predict`` from `images` to `out`, or another folder; its exit code."""
        return self.run("predict", "-i", self.images, "-o", output or self.out, *MODEL, *QUICK, *flags)

    @property
    def converted(self) -> Path:
        """An nnUNet_raw of its own, for `convert`."""
        return self.folder / "nnUNet_raw"

    def convert(self, kind: str, source: Path, *flags: str) -> int:
        """``nnunet_hetero convert KIND`` of a raw folder to data set 502 in `converted`; its exit code."""
        self.converted.mkdir(exist_ok=True)
        self.monkeypatch.setenv("nnUNet_raw", str(self.converted))
        return self.run("convert", kind, "-i", source, "-d", "502", "--name", "X", "-np", "1", *flags)

    def run(self, *argv: object) -> int:
        """Any command of ``nnunet_hetero``; its exit code."""
        try:
            return main([str(word) for word in argv])
        except SystemExit as end:
            return end.code if isinstance(end.code, int) else int(end.code is not None)

    def written(self) -> list[str]:
        """What lies in `out`, without hidden files."""
        files = (file.relative_to(self.out) for file in self.out.rglob("*") if file.is_file())
        return sorted(str(file) for file in files if not file.name.startswith("."))


@dataclass(frozen=True)
class Situation:
    """One situation.

    Args:
        number: In the list of reports; a letter tells another place of the same kind, as in ``7b``.
        title: What went wrong for somebody.
        act: Arranges it, runs the command and returns its exit code.
        exit_code: The right one.
        says: Words that the output must have.
        never: Words that it must not have.
        check: Looks at what was written; raises AssertionError.
    """

    number: str
    title: str
    act: Callable[[Place], int]
    exit_code: int = 1
    says: tuple[str, ...] = ()
    never: tuple[str, ...] = ("Traceback",)
    check: Callable[[Place], None] = lambda place: None
