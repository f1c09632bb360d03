"""Are wrong inputs found, and good ones left alone? On the held-out cases of a trained model:

    python benchmarks/checks.py --model MODEL_FOLDER [--folds 0 1 2] [--repeats 20] [--share 0.67] [--out signs.json]

Each fold's network looks at its own validation cases, preprocessed, that have all modalities. Every case is shown as it
is, and with each of these faults, made in the preprocessed images:

* two modalities exchanged, all pairs;
* the image of one modality in the place of another, all pairs;
* one modality mirrored along an axis; moved by about a centimetre along an axis; with its sign turned; with a bright
  rim around the brain, as an image with the skull on has one.

The patients are divided at random many times: the checks are fitted on one part, and judge the other. Printed: for each
fault the share of cases in which it is found, and in which the right modality is named, and the false alarms among the
cases as they are; and what a first look takes, as a share of a prediction.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import torch
from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class
from torch import Tensor
from torch.nn import functional
from tqdm import tqdm

from nnunet_hetero.inference.engine.case_prediction import predict_preprocessed
from nnunet_hetero.inference.engine.input_look import look, signs_of_good
from nnunet_hetero.inference.engine.input_signs import InputTile, central_tile
from nnunet_hetero.inference.predictor import HeteroModalPredictor
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.nnunet.folders import dataset_folders
from nnunet_hetero.nnunet.json_files import SPLITS
from nnunet_hetero.reliability.alarm_levels import judged_by_others
from nnunet_hetero.reliability.input_checks import (
    ALPHA_TO_LOOK_CLOSER,
    InputChecks,
    alphas_of,
    first_sources,
    fit_input_checks,
    judge,
)
from nnunet_hetero.reliability.input_evidence import InputSigns, sources_of_pairs
from nnunet_hetero.reliability.input_verdict import SUSPICIOUS, verdicts

GOOD = "as it is"
CENTIMETRE = 10.0
RIM = 12.0
"""Millimetres of skull around the brain."""

Fault = tuple[str, tuple[int, ...], Tensor]
"""What was done, to which channels, and the images."""


def faults(images: Tensor, names: Sequence[str], spacing: Sequence[float]) -> Iterator[Fault]:
    """A case with each of the faults.

    Args:
        images: ``(M, *tile)``.
        names: Of the modalities.
        spacing: Edges of a voxel, mm.
    """
    channels = range(len(images))
    for one, two in combinations(channels, 2):
        changed = images.clone()
        changed[[one, two]] = images[[two, one]]
        yield f"{names[one]} and {names[two]} exchanged", (one, two), changed
    for one, two in permutations(channels, 2):
        yield "another modality in its place", (two,), with_image(images, two, images[one])
    for channel in channels:
        image = images[channel]
        for axis in range(image.ndim):
            yield f"mirrored, axis {axis}", (channel,), with_image(images, channel, image.flip(axis))
            voxels = max(1, round(CENTIMETRE / spacing[axis]))
            yield "moved by a centimetre", (channel,), with_image(images, channel, moved(image, axis, voxels))
        yield "sign turned", (channel,), with_image(images, channel, -image)
        inside = (images != 0).any(dim=0)
        yield "skull on", (channel,), with_image(images, channel, with_skull(image, inside, spacing))


def with_image(images: Tensor, channel: int, image: Tensor) -> Tensor:
    """The same images with another one in a channel."""
    changed = images.clone()
    changed[channel] = image
    return changed


def moved(image: Tensor, axis: int, voxels: int) -> Tensor:
    """An image moved along an axis; what comes in is zero."""
    result = torch.roll(image, voxels, axis)
    result.narrow(axis, 0, voxels).zero_()
    return result


def with_skull(image: Tensor, inside: Tensor, spacing: Sequence[float]) -> Tensor:
    """An image with a bright rim at a small distance from the brain, normalised again."""
    wide = [2 * max(1, round(RIM / edge)) + 1 for edge in spacing]
    grown = functional.max_pool3d(inside[None, None].float(), wide, 1, [size // 2 for size in wide])[0, 0] > 0
    near = functional.max_pool3d(inside[None, None].float(), 3, 1, 1)[0, 0] > 0
    result = image.clone()
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    result[grown & ~near] = 2.5 + noise[grown & ~near]
    result[near & ~inside] = -2.0
    shown = result != 0
    result[shown] = (result[shown] - result[shown].mean()) / result[shown].std()
    return result


@torch.inference_mode()
def signs_of_fold(model_folder: str, fold: int, device: str, only: str = "") -> tuple[dict[str, dict], float, float]:
    """Signs of each complete validation case: ``good``, and ``faults`` as (what, channels, signs).

    Args:
        model_folder: Of the trained model.
        fold: Whose validation cases and network.
        device: Where it looks.
        only: Part of the name of the faults to make.

    Returns:
        The signs by case, and processor seconds of a first look and of a prediction of the last case.
    """
    predictor = HeteroModalPredictor.from_model_folder(model_folder, [fold], device)
    model = predictor.model
    _, preprocessed = dataset_folders(predictor.plans_manager.dataset_name)
    folder = str(preprocessed / predictor.configuration_manager.data_identifier)
    cases = SPLITS.read(preprocessed / "splits_final.json")[fold]["val"]
    dataset = infer_dataset_class(folder)(folder, cases)
    names = model.modalities.names
    sources = sources_of_pairs(range(len(names)))
    found: dict[str, dict] = {}
    first = whole = 0.0
    for case in tqdm(cases, f"Fold {fold}"):
        data = torch.from_numpy(np.array(dataset.load_case(case)[0])).float()
        if not (data != 0).flatten(1).any(dim=1).all():
            continue
        spacing = tuple(model.preparation.configuration_manager.spacing)
        found[case] = {"good": signs_of_good(model, data), "faults": []}
        for what, channels, images in faults(central_tile(model, data), names, spacing):
            if only not in what:
                continue
            tile = InputTile.encoded_by(model.network, images, spacing, tuple(range(len(names))))
            found[case]["faults"].append((what, channels, look(tile, model.modalities, sources)))
        if case == cases[-1]:
            start = time.process_time()
            look(InputTile.of(model, data), model.modalities, sources[: len(names) // 2])
            middle = time.process_time()
            predict_preprocessed(model, data, case, voxel_volume=1.0)
            first, whole = middle - start, time.process_time() - middle
    return found, first, whole


def restricted(signs: InputSigns, sources: Sequence[str]) -> InputSigns:
    """What a look takes that completes images from these sources only."""
    explained = {source: of_source for source, of_source in signs["explained"].items() if source in sources}
    return {"explained": explained, "contrast": signs["contrast"], "posterior": signs["posterior"]}


def suspects(checks: InputChecks, signs: InputSigns, modalities: Modalities) -> set[str]:
    """The modalities that a prediction would warn of, see `judge_in_steps`."""
    names, every = modalities.names, range(len(modalities))
    seen = restricted(signs, [modalities.label(source) for source in first_sources(checks, names, every)])
    if any(one.suspicious for one in judge(checks, seen, names, ALPHA_TO_LOOK_CLOSER)):
        seen = restricted(signs, [modalities.label(source) for source in sources_of_pairs(every)])
    found = verdicts(judge(checks, seen, names, alphas_of(checks, seen, names)), seen, names)
    return {one.modality for one in found if one.check == SUSPICIOUS}


def repeated_splits(cases: dict[str, dict], modalities: Modalities, repeats: int, share: float) -> None:
    """Fit on a share of the patients, judge the others, many times, and print."""
    generator = np.random.default_rng(0)
    names = modalities.names
    total, found, named, alarms = Counter(), Counter(), Counter(), Counter()
    for _ in tqdm(range(repeats), "Splits"):
        order = [str(case) for case in generator.permutation(sorted(cases))]
        number = round(share * len(order))
        good = [(case, cases[case]["good"]) for case in order[:number]]
        checks = fit_input_checks(good, names)
        if checks is None:
            raise SystemExit(f"{number} cases to fit on are too few.")
        checks["alphas"] = judged_by_others(good, names).alphas
        for case in order[number:]:
            suspected = suspects(checks, cases[case]["good"], modalities)
            total[GOOD] += 1
            found[GOOD] += bool(suspected)
            alarms.update([case] if suspected else [])
            for what, channels, signs in cases[case]["faults"]:
                suspected = suspects(checks, signs, modalities)
                total[what] += 1
                found[what] += bool(suspected)
                named[what] += suspected == {names[channel] for channel in channels}
    print(f"\n{len(cases)} cases, {number} to fit on, {len(order) - number} to judge, {repeats} splits")
    print(f"{'input':34s}{'warned of':>10s}{'rightly named':>15s}{'of':>7s}")
    for what in total:
        right = "" if what == GOOD else f"{named[what] / total[what]:.1%}"
        print(f"{what:34s}{found[what] / total[what]:10.1%}{right:>15s}{total[what]:7d}")
    print("False alarms by case:", dict(alarms) or "none")


def main() -> None:
    """Look, or read what was seen before, and judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="Model folder; nnU-Net's variables must lead to its data.")
    parser.add_argument("--folds", nargs="+", type=int, default=[0])
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--share", type=float, default=2 / 3, help="Of the cases that the checks are fitted on.")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", default="", help="Part of the name of the faults to make, e.g. exchanged.")
    parser.add_argument("--out", type=Path, help="File that keeps what was seen, for another call.")
    args = parser.parse_args()
    kept = json.loads(args.out.read_text()) if args.out and args.out.is_file() else {"cases": {}, "seconds": {}}
    for fold in args.folds:
        if str(fold) not in kept["seconds"]:
            found, first, whole = signs_of_fold(args.model, fold, args.device, args.only)
            kept["cases"] |= found
            kept["seconds"][str(fold)] = [first, whole]
            if args.out:
                args.out.write_text(json.dumps(kept))
    kept = json.loads(json.dumps(kept))
    with open(Path(args.model) / "dataset.json", encoding="utf-8") as stream:
        modalities = Modalities.from_dataset_json(json.load(stream))
    repeated_splits(kept["cases"], modalities, args.repeats, args.share)
    for fold, (first, whole) in kept["seconds"].items():
        print(
            f"Fold {fold}: a first look takes {first:.3f} s, {first / whole:.1%} of the {whole:.3f} s of a prediction."
        )


if __name__ == "__main__":
    main()
