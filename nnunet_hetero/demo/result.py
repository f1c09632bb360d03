"""The demo's page: table, heat map, overlays, and whether the bars were reached."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from nnunet_hetero.demo.from_scanner import arrival
from nnunet_hetero.demo.sections import REGIONS, DemoFiles, completion, gaps, load, uncertainty, volumes
from nnunet_hetero.demo.settings import BARS, DATASET, NAME, DemoSettings
from nnunet_hetero.demo.steps import Steps
from nnunet_hetero.evaluation.report.figures import heat_map, overlay_panel
from nnunet_hetero.evaluation.report.figures.common import own_style
from nnunet_hetero.evaluation.report.page import write_report
from nnunet_hetero.evaluation.scores.overlap import dice_per_region
from nnunet_hetero.evaluation.sweep.summary import as_number, read_summary
from nnunet_hetero.io.atomic_files import replacing

SHOWN = ("T1+T1c+T2+FLAIR", "T1+T2+FLAIR", "T1c", "FLAIR")


@own_style()
def write_result(out: Path, test: Path, arriving: Path, steps: Steps, settings: DemoSettings, seconds: float) -> Path:
    """Print the main numbers and write ``report.html`` and the figures as PNG.

    Args:
        out: The demo's folder.
        test: nnU-Net raw dataset of the held-out cases.
        arriving: The case that came from the scanner, as it was, in the raw BraTS layout.
        steps: What was run.
        settings: With which settings.
        seconds: How long it took up to here.
    """
    summary = read_summary(out / "evaluation")
    files = DemoFiles(out, test, list(summary.modalities))
    lines = []
    what_bar = "bar of the demo without gaps" if settings.incomplete else "bar of the default settings"
    for what, key, entry in (
        ("all modalities", "all", summary.subsets[-1]),
        (f"mean of {len(summary.subsets)} subsets", "mean", summary.overall),
    ):
        reached = [as_number(entry.dice[name]) for name in summary.regions]
        text = " / ".join(f"{value:.3f}" for value in reached)
        bar = " / ".join(f"{value:.2f}" for value in BARS[key])
        verdict = "reached" if all(a >= b for a, b in zip(reached, BARS[key], strict=True)) else "not reached"
        lines.append((f"Dice, {what}", f"{text} ({what_bar} {bar}: {verdict})"))
    lines.append(("Dice, files absent", _absent_files_dice(files)))
    for what, value in lines:
        print(f"    {what}: {value}")

    figures = [("Mean Dice of every subset and region.", heat_map(summary))]
    for case in files.cases[:2]:
        caption = f"{case}: images and truth, then what the model saw and made of it."
        figures.append((caption, _overlays(case, files)))
    completed_panel, completed_table = completion(files)
    unsure_panel, unsure_table = uncertainty(files)
    case = files.cases[0]
    figures.append((f"{case}: completed images next to the real ones, which the model was not given.", completed_panel))
    figures.append((f"{case}: where the model is unsure, the largest value over the regions.", unsure_panel))
    arrived_picture, arrived_table = arrival(files, arriving)
    caption = f"{arriving.name} as it arrived: T1c with the edges of the others, before and after registration."
    figures.append((caption, arrived_picture))
    tables = [completed_table, unsure_table, volumes(files), arrived_table]
    names = ["heat_map", "overlay_1", "overlay_2", "completion", "uncertainty", "from_scanner"]
    gaps_text = ", a third of them with gaps" if settings.incomplete else ""
    curves = next((out / "nnUNet_results").rglob("progress_hetero.png"))
    if settings.incomplete:
        picture, table = gaps(out / "nnUNet_raw" / f"Dataset{DATASET}_{NAME}", curves.parent)
        caption = "Training on cases with gaps: how often each modality and each subset was there, and was drawn."
        figures.append((caption, picture))
        tables.insert(0, table)
        names.append("modalities")
    folder = out / "figures"
    folder.mkdir()
    for name, (_, figure) in zip(names, figures, strict=True):
        with replacing(folder / f"{name}.png") as stream:
            figure.savefig(stream, format="png", dpi=130)
    facts = {
        **dict(lines),
        "Cohort": f"{settings.cases} synthetic cases to train on{gaps_text}, {len(files.cases)} held out, "
        f"{settings.size}³ voxels",
        "Training": f"{settings.epochs} epochs of {settings.iterations_per_epoch} steps, "
        f"{steps.seconds['train'] / 60:.1f} minutes; curves in {curves.relative_to(out)}",
        "Time up to here": f"{seconds / 60:.1f} minutes",
        "Versions": f"nnunetv2 {version('nnunetv2')}, torch {torch.__version__}, numpy {np.__version__}",
    }
    return write_report(
        out / "report.html",
        "One model for every subset of the modalities",
        summary,
        figures,
        facts,
        steps.commands,
        "A hetero-modal model was trained for minutes on synthetic brain tumours. It segments the held-out cases from "
        "each of the 15 subsets of T1, T1c, T2 and FLAIR. The contrast agent in T1c shows the enhancing tumour, FLAIR "
        "shows the oedema: without them the scores of these regions drop, as they would for a reader.",
        tables,
    )


def _overlays(case: str, files: DemoFiles) -> Figure:
    images = {name: files.image(case, name) for name in files.modalities}
    truth = files.truth(case)
    folder = files.out / "evaluation" / "predictions"
    predictions = {name: load(folder / name / f"{case}.nii.gz") for name in SHOWN}
    captions = {}
    for name, prediction in predictions.items():
        dice = dice_per_region(prediction, truth, REGIONS)
        captions[name] = "WT {:.0f}  TC {:.0f}  ET {:.0f}".format(*(100 * dice[region] for region in REGIONS))
    return overlay_panel(images, truth, predictions, REGIONS, captions)


def _absent_files_dice(files: DemoFiles) -> str:
    """Mean Dice of the cases whose files were really absent, and of how many modalities they had."""
    folder = files.out / "predictions" / "files_absent"
    used = json.loads((folder / "modalities.json").read_text(encoding="utf-8"))
    dice = []
    for case in used:
        prediction = files.prediction("files_absent", case)
        dice.append(list(dice_per_region(prediction, files.truth(case), REGIONS).values()))
    text = " / ".join(f"{value:.3f}" for value in np.nanmean(dice, axis=0))
    return f"{text} ({len(used)} cases, one or two files of each deleted)"
