"""``calibration/report.html``: how wide the intervals are, whether they hold, and what probabilities are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from nnunet_hetero.calibration.coverage import TOGETHER, HeldOut, binomial_band, coverage, draws_coverage, held_out
from nnunet_hetero.calibration.figures import coverage_curves, reliability_diagrams
from nnunet_hetero.calibration.quality_figures import quality_figures
from nnunet_hetero.calibration.quality_scores import Predicted
from nnunet_hetero.calibration.records import NEAR, CaseRecord, Row, counts_of
from nnunet_hetero.evaluation.report.figures import method_bars
from nnunet_hetero.evaluation.report.figures.common import own_style
from nnunet_hetero.evaluation.report.page import ExtraTable, NamedFigure, write_figures, write_page
from nnunet_hetero.modalities import Modalities, by_size, mask_of
from nnunet_hetero.nnunet.extent import MEASURES
from nnunet_hetero.reliability.calibration_file import ALL_SUBSETS, Calibration
from nnunet_hetero.reliability.temperature import calibration_error

REPORT_FILE = "report.html"
LEVELS = np.round(np.arange(0.1, 1.0, 0.05), 2)

INTRODUCTION = (
    "Cases that the model had not seen were predicted from every subset of their modalities, and each {0} was "
    "compared with the true one. From that an interval of a {0} is made that holds the true one as often as its "
    "level says, for each region and each subset. Below: what a missing modality costs in certainty, and whether they "
    "hold."
)
CONDITIONS = (
    "The intervals hold for new patients like these: the same kind of patients, scanners, and preparation of images.",
    "They hold for so many patients out of a hundred, with this region and this subset; they promise nothing beyond "
    "that for one patient, or for patients with large tumours alone.",
)
OWN_REGION = "Each region's intervals hold by themselves; those of several regions together hold less often."
ALL_REGIONS = "The intervals of all regions hold simultaneously."


@own_style()
def write_calibration_report(
    folder: Path,
    calibration: Calibration,
    rows: Sequence[Row],
    records: Sequence[CaseRecord],
    predicted: Mapping[str, Predicted] | None = None,
) -> Path:
    """Write the page and its pictures into a calibration's folder.

    Args:
        folder: Where to.
        calibration: What was found.
        rows: What it was found from.
        records: The same, with counts of voxels.
        predicted: What would have been predicted of the Dice, by region.

    Returns:
        The page.
    """
    found = held_out(rows, calibration.by_disagreement, calibration.joint)
    counts = {region: _pooled(records, region, "near") for region in calibration.regions}
    figures = [*_figures(calibration, rows, found, counts), *quality_figures(predicted or {})]
    written = write_figures(folder / "figures", figures)
    for earlier in set((folder / "figures").glob("*.png")) - set(written):
        earlier.unlink()
    level, size, measure = calibration.level, {one.n_modalities for one in found}, _measure(rows)
    patients = "patient" if calibration.patients == 1 else "patients"
    headlines = [(patients, str(calibration.patients)), ("level", f"{100 * level:g} %")]
    for number in sorted({min(size), max(size)}, reverse=True):
        of_size = coverage([one for one in found if one.n_modalities == number and one.region != TOGETHER], level)
        modalities = "1 modality" if number == 1 else f"{number} modalities"
        headlines.append((f"upper over lower limit, {modalities}", _factor(of_size.log_width)))
    return write_page(
        folder / REPORT_FILE,
        "page.html.j2",
        f"Calibration: intervals of {measure}s from every subset of {', '.join(calibration.modalities)}",
        headlines=headlines,
        headline_note="Means over regions and cases. An interval from 20 to 30 has a factor of 1.5.",
        introduction=INTRODUCTION.format(measure),
        figures=[(caption, figure) for _, caption, figure in figures],
        tables=[_coverage_table(calibration, rows, found), _probability_table(calibration, records, counts)],
        lists=[("What an interval says", [*CONDITIONS, ALL_REGIONS if calibration.joint else OWN_REGION])],
        facts=_facts(calibration, records),
    )


def _figures(
    calibration: Calibration, rows: Sequence[Row], found: Sequence[HeldOut], counts: dict[str, np.ndarray]
) -> list[NamedFigure]:
    modalities = Modalities(tuple(calibration.modalities))
    subsets = by_size({modalities.parse([row["subset"]]) for row in rows})
    widths = {"by disagreement": found, "fixed": held_out(rows, False, calibration.joint)}
    if not calibration.by_disagreement:
        widths = {"fixed": found}
    values = {region: np.full((len(subsets), len(widths)), np.nan) for region in calibration.regions}
    for column, of_kind in enumerate(widths.values()):
        for region in calibration.regions:
            for place, subset in enumerate(subsets):
                own = [one for one in of_kind if (one.region, one.subset) == (region, modalities.label(subset))]
                values[region][place, column] = coverage(own, calibration.level).log_width
    available = [mask_of(subset, len(modalities)).tolist() for subset in subsets]
    curves = {}
    for region in dict.fromkeys(one.region for one in found):
        own = [one for one in found if one.region == region]
        curves[region] = [coverage(own, float(level)).share for level in LEVELS]
    temperatures = {region: of_subsets[ALL_SUBSETS] for region, of_subsets in calibration.temperatures.items()}
    figures: list[NamedFigure] = []
    if np.isfinite(list(values.values())).any():
        figures.append(
            (
                "widths",
                f"What a missing modality costs in certainty: mean width of the {100 * calibration.level:g} % "
                "intervals by subset, as the logarithm of upper over lower limit (0.7 is a factor of 2). Blank: too "
                "few patients.",
                method_bars(calibration.modalities, available, list(widths), values, "log (upper / lower)"),
            )
        )
    if np.isfinite(list(curves.values())).any():
        figures.append(
            (
                "coverage",
                "Do they hold? Patients that took no part in making the intervals: the share of true "
                f"{_measure(rows)}s inside, against the level, over all subsets.",
                coverage_curves(LEVELS.tolist(), curves, calibration.level),
            )
        )
    return [
        *figures,
        (
            "reliability",
            f"Probabilities of voxels within {NEAR:g} mm of a region or of its prediction, each case with equal "
            "weight: the share that is inside.",
            reliability_diagrams(counts, temperatures),
        ),
    ]


def _coverage_table(calibration: Calibration, rows: Sequence[Row], found: Sequence[HeldOut]) -> ExtraTable:
    sizes = sorted({one.n_modalities for one in found})
    lines = [
        ["region", "modalities", "inside", "checked", "95 % band", "lowest subset", "factor", "draws' percentiles"]
    ]
    for region in dict.fromkeys(one.region for one in found):
        for number in sizes:
            own = [one for one in found if (one.region, one.n_modalities) == (region, number)]
            of_size = coverage(own, calibration.level)
            of_draws = draws_coverage([r for r in rows if (r["region"], r["n_modalities"]) == (region, number)])
            band = "–"
            if of_size.checked:
                low, high = binomial_band(calibration.level, of_size.checked)
                band = f"{100 * low:.0f} to {100 * high:.0f} %"
            lowest = min(_shares_by_subset(own, calibration.level).values(), default=math.nan)
            share, draws = _percent(of_size.share), _percent(of_draws.share) if calibration.model.num_samples else "–"
            cells = [share, str(of_size.checked), band, _percent(lowest), _factor(of_size.log_width), draws]
            lines.append([region, str(number), *cells])
    note = (
        f"Share of true {_measure(rows)}s inside of intervals that other patients made; where 95 % of such shares lie "
        "if the level is right and rows are independent; the mean factor of upper over lower limit. Last, for "
        "comparison, how many lie between the 2.5th and 97.5th percentile of the draws. A dash: too few patients, or "
        "no draws."
    )
    return "Do the intervals hold?", lines, note


def _shares_by_subset(found: Sequence[HeldOut], level: float) -> dict[str, float]:
    subsets = dict.fromkeys(one.subset for one in found)
    shares = {}
    for subset in subsets:
        of_subset = coverage([one for one in found if one.subset == subset], level)
        if of_subset.checked:
            shares[subset] = of_subset.share
    return shares


def _probability_table(
    calibration: Calibration, records: Sequence[CaseRecord], counts: dict[str, np.ndarray]
) -> ExtraTable:
    lines = [["region", "temperature", "error near the region", "scaled", "error in the brain", "scaled"]]
    for region, temperatures in calibration.temperatures.items():
        temperature, brain = temperatures[ALL_SUBSETS], _pooled(records, region, "brain")
        errors = []
        for own in (counts[region], brain):
            errors += [_percent(calibration_error(own, one)) for one in (1.0, temperature)]
        lines.append([region, f"{temperature:.2f}", *errors])
    note = (
        "Expected calibration error: how far probability and share are apart, over ten bins. In the brain it looks "
        "good whatever the model does, since most voxels are easy. Scaled: with the temperature over all subsets, "
        "fitted on the same cases."
    )
    return "Probabilities", lines, note


def _pooled(records: Sequence[CaseRecord], region: str, where: str) -> np.ndarray:
    """Shares of voxels over all cases and subsets, each pair with equal weight, ``(2, BINS)``."""
    total = np.zeros(())
    for record in records:
        for voxels in record.voxels[region].values():
            counts = counts_of(voxels, where)
            total = total + counts / max(counts.sum(), 1)
    return total


def _facts(calibration: Calibration, records: Sequence[CaseRecord]) -> dict[str, str]:
    model = calibration.model
    together = "together, on labelled cases" if calibration.together else "each on its own validation cases"
    return {
        "Folds": f"{', '.join(model.weights)}, {together}",
        "Patients": str(calibration.patients),
        "Cases": str(len(records)),
        "Trainer": model.trainer,
        "Draws": str(model.num_samples),
        "Mirrored axes": ", ".join(map(str, model.mirroring_axes or ())) or "none",
        "Step size": f"{model.step_size:g}",
        "Widths": "by the disagreement of the draws" if calibration.by_disagreement else "fixed",
        "Written by": f"nnunet_hetero {calibration.version}",
    }


def _measure(rows: Sequence[Row]) -> str:
    """What the intervals are of, in words: areas of 2D images."""
    return MEASURES[rows[0]["unit"]]


def _factor(log_width: float) -> str:
    return "–" if math.isnan(log_width) else f"{math.exp(log_width):.2f}"


def _percent(share: float) -> str:
    return "–" if math.isnan(share) else f"{100 * share:.1f} %"
