"""Which cases a report leads to, and that it leads to pages that are there only."""

from __future__ import annotations

from helpers.results.invented_evaluation import random_scores, write_evaluation

from nnunet_hetero.evaluation.report.case_pages import page_links, ranked_cases
from nnunet_hetero.evaluation.sweep.run import read_run


def test_worst_median_and_best(tmp_path):
    run = read_run(write_evaluation(tmp_path / "A", random_scores(1), cases=5))
    ranks = ranked_cases(run)
    means = {case: run.scores["dice"][:, number].mean() for number, case in enumerate(run.cases)}
    ordered = sorted(means, key=lambda case: means[case])
    assert ranks == {ordered[0]: "worst", ordered[2]: "median", ordered[-1]: "best"}


def test_one_case_has_one_rank(tmp_path):
    assert len(ranked_cases(read_run(write_evaluation(tmp_path / "A", random_scores(1), cases=1)))) == 1


def test_links_to_what_is_there(tmp_path):
    folder = write_evaluation(tmp_path / "A", random_scores(1), cases=5)
    run = read_run(folder)
    assert page_links(run, folder) == []
    (folder / "view").mkdir()
    worst = next(iter(ranked_cases(run)))
    (folder / "view" / f"{worst}.html").touch()
    (link,) = page_links(run, tmp_path / "comparison")
    assert f'href="../A/view/{worst}.html"' in link and "worst" in link
