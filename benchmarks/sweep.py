"""Time of the evaluation of all subsets, next to a prediction and an evaluation for each subset of its own.

    python benchmarks/sweep.py [--cases 2] [--repeats 3] [--device cpu] [--disable_tta]
    python benchmarks/sweep.py --model MODEL_FOLDER -i IMAGES -l LABELS

Without a model, a small one is trained on phantoms first, in minutes, and kept in --work for the next time. Both sides
segment the same cases from all 2^M - 1 subsets, with the posterior's mean, and measure the same scores. They take
turns; printed are the medians and their ratio,

* as commands, which is what a user saves: one ``nnunet_hetero evaluate``, and for each subset one ``nnunet_hetero
  predict --available SUBSET``, the scores being measured here, in this process, from the files; limit 0.5;
* without the start of processes and the loading of models, which is what encoding once saves; limit 0.5. Fusion and
  decoder run once per subset on either side, so the ratio has a floor, which is printed beside it: what it would be if
  nothing but encoders, fusion and decoder took time, measured in the same run.

The label maps of both sides are compared too. A missed limit is exit code 1; the last line is the same as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial, wraps
from pathlib import Path
from unittest.mock import patch

import torch

from nnunet_hetero.evaluation.scores.metric_options import MetricOptions, default_names
from nnunet_hetero.evaluation.scores.overlap import measure
from nnunet_hetero.evaluation.scores.registry import all_metrics
from nnunet_hetero.evaluation.sweep.model import evaluate_model
from nnunet_hetero.evaluation.sweep.request import EvaluationRequest
from nnunet_hetero.inference.engine import network_steps
from nnunet_hetero.inference.engine.case_result import SamplingOptions
from nnunet_hetero.inference.options import PredictionOptions
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.modalities import Modalities, all_subsets
from nnunet_hetero.network.hetero_network import HeteroNetwork
from nnunet_hetero.nnunet.environment import set_ext_trainer
from nnunet_hetero.nnunet.json_files import DATASET_JSON
from nnunet_hetero.nnunet.regions import regions_of

LIMIT = 0.5
"""Of either ratio of medians."""


@dataclass(frozen=True)
class Setup:
    """What both sides segment, and how.

    Args:
        model: ``nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION``.
        images: Folder.
        labels: Folder.
        out: Folder for the results of both sides.
        device: Where to compute.
        mirroring: Test-time augmentation.
        metrics: What is measured.
    """

    model: Path
    images: Path
    labels: Path
    out: Path
    device: str
    mirroring: bool
    metrics: MetricOptions

    @property
    def subsets(self) -> list[str]:
        """All of them, e.g. ``T1+FLAIR``."""
        modalities = Modalities.from_dataset_json(DATASET_JSON.read(self.model / "dataset.json"))
        return [modalities.label(subset) for subset in all_subsets(len(modalities))]

    def fresh(self, name: str) -> Path:
        """An empty folder for results."""
        shutil.rmtree(self.out / name, ignore_errors=True)
        (self.out / name).mkdir(parents=True)
        return self.out / name


def sweep_command(setup: Setup) -> None:
    """One evaluation of all subsets."""
    trainer, plans, configuration = setup.model.name.split("__")
    command = ["evaluate", "-d", setup.model.parent.name, "-tr", trainer, "-p", plans, "-c", configuration, "-f", "0"]
    command += ["-i", setup.images, "-l", setup.labels, "-o", setup.fresh("sweep"), "-device", setup.device]
    command += ["--metrics", *setup.metrics.names, "--save_predictions", "--disable_progress_bar"]
    run([*command, *([] if setup.mirroring else ["--disable_tta"])], {"nnUNet_results": str(setup.model.parents[1])})


def separate_commands(setup: Setup) -> None:
    """A prediction of every subset, and its scores."""
    scorer = Scorer(setup)
    for subset in setup.subsets:
        out = setup.fresh(f"separate/{subset}")
        command = ["predict", "-m", setup.model, "-f", "0", "-i", setup.images, "-o", out, "-device", setup.device]
        command += ["--available", subset, "--num_samples", "0", "-npp", "0", "-nps", "0"]
        run([*command, *([] if setup.mirroring else ["--disable_tta"])], {})
        scorer.score(out)


def sweep_in_process(setup: Setup) -> None:
    """The same evaluation without a process of its own."""
    evaluate_model(
        EvaluationRequest(
            setup.model,
            0,
            images=setup.images,
            labels=setup.labels,
            output=setup.fresh("sweep"),
            device=setup.device,
            mirroring=setup.mirroring,
            metrics=setup.metrics,
            save_predictions=True,
            progress=False,
        )
    )


@dataclass
class Parts:
    """Seconds of a sweep in the network.

    Args:
        encoding: In what is done once for each modality of a tile.
        decoding: In what is done once for each subset: fusion and decoder.
    """

    encoding: float = 0.0
    decoding: float = 0.0

    def floor(self, num_modalities: int) -> float:
        """The sweep's share of separate predictions if nothing else took time; each modality is in 2^(M - 1) subsets.

        Args:
            num_modalities: M.
        """
        separate = 2 ** (num_modalities - 1) * self.encoding + self.decoding
        return (self.encoding + self.decoding) / separate if separate else 1.0

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Within, the parts of a sweep add up here."""
        with (
            patch.object(network_steps, "encode_for_all", self._timed("encoding", network_steps.encode_for_all)),
            patch.object(network_steps, "fuse_subset", self._timed("decoding", network_steps.fuse_subset)),
            patch.object(HeteroNetwork, "decode", self._timed("decoding", HeteroNetwork.decode)),
        ):
            yield

    def _timed(self, part: str, function: Callable) -> Callable:
        @wraps(function)
        def call(*arguments):
            start = _seconds()
            result = function(*arguments)
            setattr(self, part, getattr(self, part) + _seconds() - start)
            return result

        return call


def measured_sweep(parts: Parts, setup: Setup) -> None:
    """`sweep_in_process`, with its parts measured."""
    with parts.measured():
        sweep_in_process(setup)


def _seconds() -> float:
    """By the clock, once a GPU has done what it was told."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def separate_in_process(setup: Setup) -> None:
    """The same predictions without processes of their own, with the model loaded once."""
    scorer = Scorer(setup)
    predictor = HeteroModalPredictor(
        options=PredictionOptions(sampling=SamplingOptions(0)),
        use_mirroring=setup.mirroring,
        device=torch.device(setup.device),
        allow_tqdm=False,
    )
    predictor.initialize_from_trained_model_folder(str(setup.model), 0)
    for subset in setup.subsets:
        predictor.kept = predictor.modalities.parse([subset])
        out = setup.fresh(f"separate/{subset}")
        predictor.predict_from_files_sequential(str(setup.images), str(out))
        scorer.score(out)


class Scorer:
    """Measures the label maps of a folder."""

    def __init__(self, setup: Setup):
        with contextlib.redirect_stdout(io.StringIO()):
            predictor = HeteroModalPredictor.from_model_folder(setup.model, 0, "cpu")
        self.setup = setup
        self.regions = regions_of(predictor.label_manager)
        self.reader = predictor.plans_manager.image_reader_writer_class()
        self.ending = predictor.dataset_json["file_ending"]

    def score(self, folder: Path) -> None:
        for file in sorted(folder.glob(f"*{self.ending}")):
            prediction, grid = self.reader.read_seg(str(file))
            truth, _ = self.reader.read_seg(str(self.setup.labels / file.name))
            measure(prediction[0], truth[0], self.regions, grid["spacing"], self.setup.metrics)


def run(arguments: list, environment: dict[str, str]) -> None:
    """Run one of our commands as a process."""
    command = [sys.executable, "-m", "nnunet_hetero.cli.main", *map(str, arguments)]
    result = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    if result.returncode:
        raise SystemExit(f"{' '.join(command)}\nfailed:\n{result.stdout}{result.stderr}")


def compare(sides: dict[str, Callable[[], None]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median wall-clock and processor seconds of each side, with the processes it starts; the sides take turns."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, side in sides.items():
            wall, cpu = time.perf_counter(), processor_seconds()
            with contextlib.redirect_stdout(io.StringIO()):
                side()
            times[name].append((time.perf_counter() - wall, processor_seconds() - cpu))
    return {
        name: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for name, rows in times.items()
    }


def processor_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def differing_voxels(setup: Setup) -> int:
    """Voxels in which the label maps of the two sides differ, over all cases and subsets."""
    scorer = Scorer(setup)
    different = 0
    for subset in setup.subsets:
        for file in sorted((setup.out / "separate" / subset).glob(f"*{scorer.ending}")):
            other = setup.out / "sweep" / "predictions" / subset / file.name
            maps = [scorer.reader.read_seg(str(path))[0] for path in (file, other)]
            different += int((maps[0] != maps[1]).sum())
    return different


def phantom_model(work: Path) -> tuple[Path, Path, Path]:
    """Model, images and labels of a short demo; made if they are not there."""
    demo = work / "demo"
    if not (demo / "report.html").is_file():
        print("Training a small model on phantoms, minutes ...", flush=True)
        run(["demo", "--out", demo, "--epochs", "3", "--cases", "10"], {})
    model = next((demo / "nnUNet_results").glob("*/*__*__*"))
    held_out = next((demo / "nnUNet_raw").glob("Dataset502_*"))
    return model, held_out / "imagesTr", held_out / "labelsTr"


def some_cases(setup: Setup, number: int) -> Setup:
    """The first cases only, as copies."""
    ending = DATASET_JSON.read(setup.model / "dataset.json")["file_ending"]
    names = sorted(file.name for file in setup.labels.glob(f"*{ending}"))[:number]
    images, labels = setup.fresh("images"), setup.fresh("labels")
    for name in names:
        shutil.copy2(setup.labels / name, labels)
        for file in setup.images.glob(f"{name.removesuffix(ending)}_????{ending}"):
            shutil.copy2(file, images)
    return Setup(setup.model, images, labels, setup.out, setup.device, setup.mirroring, setup.metrics)


def main() -> int:
    """Print times and ratios; the last line is the same as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="nnUNet_results/DATASET/TRAINER__PLANS__CONFIGURATION, with fold 0")
    parser.add_argument("-i", type=Path, metavar="IMAGES")
    parser.add_argument("-l", type=Path, metavar="LABELS")
    parser.add_argument("--work", type=Path, default=Path("benchmark_sweep"))
    parser.add_argument("--cases", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--disable_tta", action="store_true")
    parser.add_argument("--metrics", nargs="+", choices=list(all_metrics()), default=list(default_names()))
    args = parser.parse_args()
    if args.model and not (args.i and args.l):
        parser.error("--model needs -i and -l")
    set_ext_trainer()
    work = args.work.resolve()
    model, images, labels = (args.model, args.i, args.l) if args.model else phantom_model(work)
    metrics = MetricOptions(tuple(args.metrics))
    setup = Setup(model.resolve(), images, labels, work / "results", args.device, not args.disable_tta, metrics)
    setup = some_cases(setup, args.cases)
    views = "mirrored views" if setup.mirroring else "no mirroring"
    print(
        f"{args.cases} case(s), {len(setup.subsets)} subsets, {views}, {args.device}, scores: {', '.join(args.metrics)}"
    )
    result, parts = {}, Parts()
    for title, sweep, separate in (
        ("commands", sweep_command, separate_commands),
        ("computation", partial(measured_sweep, parts), separate_in_process),
    ):
        times = compare({"sweep": lambda s=sweep: s(setup), "separate": lambda s=separate: s(setup)}, args.repeats)
        ratios = [sweep / separate for sweep, separate in zip(times["sweep"], times["separate"], strict=True)]
        different = differing_voxels(setup)
        result[title] = {
            "sweep": [round(value, 2) for value in times["sweep"]],
            "separate": [round(value, 2) for value in times["separate"]],
            "ratio": [round(value, 3) for value in ratios],
            "differing_voxels": different,
        }
        print(
            f"{title:12} sweep {times['sweep'][0]:7.1f} s ({times['sweep'][1]:.1f} s processor), separate "
            f"{times['separate'][0]:7.1f} s ({times['separate'][1]:.1f} s), ratio {ratios[0]:.2f} ({ratios[1]:.2f})"
            f"; label maps differ in {different} voxel(s)",
            flush=True,
        )
    floor = parts.floor(len(DATASET_JSON.read(setup.model / "dataset.json")["channel_names"]))
    result["computation"]["floor"] = round(floor, 3)
    print(f"computation: {floor:.2f} would be the ratio if nothing but encoders, fusion and decoder took time")
    lines = missed({title: entry["ratio"][0] for title, entry in result.items()})
    for line in lines:
        print(f"MISSED: {line}")
    print(json.dumps(result))
    return int(bool(lines))


def missed(ratios: Mapping[str, float]) -> list[str]:
    """Which limits are missed, in words.

    Args:
        ratios: Of the sweep's time to that of separate predictions: ``commands``, ``computation``.
    """
    above = {title: ratio for title, ratio in ratios.items() if ratio > LIMIT}
    return [
        f"{title}: the sweep takes {ratio:.2f} of separate predictions, limit {LIMIT}" for title, ratio in above.items()
    ]


if __name__ == "__main__":
    sys.exit(main())
