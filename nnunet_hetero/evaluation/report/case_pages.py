"""Links from a report to the pages of cases, which `nnunet_hetero view` and ``evaluate --view`` write."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote

import numpy as np
from markupsafe import Markup

from nnunet_hetero.evaluation.compare.statistics import known_mean
from nnunet_hetero.evaluation.sweep.run import Run
from nnunet_hetero.inference.output.page_names import INDEX, VIEW_FOLDER, page_name

HEADING = "Pages to look at cases"
RANKS = ("worst", "median", "best")


def ranked_cases(run: Run) -> dict[str, str]:
    """The worst, median and best case by the mean Dice over subsets and regions; fewer where there are fewer cases.

    Returns:
        Rank by case.
    """
    means = {case: float(known_mean(run.scores["dice"][:, number])) for number, case in enumerate(run.cases)}
    ranked = sorted((case for case in run.cases if not np.isnan(means[case])), key=lambda case: (means[case], case))
    if not ranked:
        return {}
    places = (0, (len(ranked) - 1) // 2, len(ranked) - 1)
    found: dict[str, str] = {}
    for rank, place in zip(RANKS, places, strict=True):
        found.setdefault(ranked[place], rank)
    return found


def page_links(run: Run, report: Path) -> list[Markup]:
    """Links to the pages of the ranked cases and to the list of all, as far as they are there.

    Args:
        run: The evaluation.
        report: Folder of the report, from which the links lead.
    """
    folder = run.folder / VIEW_FOLDER
    pages = [(folder / page_name(case), f"{run.name}, {rank}: {case}") for case, rank in ranked_cases(run).items()]
    pages.append((folder / INDEX, f"{run.name}, all pages"))
    links = [(os.path.relpath(page, report), words) for page, words in pages if page.is_file()]
    return [Markup('<a href="{}">{}</a>').format(quote(Path(link).as_posix()), words) for link, words in links]
