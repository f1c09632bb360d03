"""Many cases, read, checked and preprocessed in background processes."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.preparation import Preparation
from nnunet_hetero.cases.preprocess import PreparedCase, preprocess, read_case
from nnunet_hetero.cases.tissue import warn_of_odd_backgrounds
from nnunet_hetero.io.processes import Workers, in_words
from nnunet_hetero.modalities import Subset


@dataclass(frozen=True)
class Failure:
    """Why a case has no result.

    Args:
        step: ``reading``, ``preprocessing``, ``predicting`` or ``exporting``.
        reason: In words.
    """

    step: str
    reason: str


def prepare_cases(
    cases: Sequence[Case], preparation: Preparation, kept: Subset, num_processes: int
) -> Generator[tuple[Case, PreparedCase | Failure, float], None, None]:
    """Read, check and preprocess cases, in their order.

    Args:
        cases: The cases.
        preparation: That of the model.
        kept: Channels that may be used.
        num_processes: Number of background processes; 0 works in this process. At most that many cases wait in memory.

    Yields:
        Each case with its input, or with what is wrong with it, and the seconds that it took.

    Raises:
        SettingsError: If the model was trained on images with standardised histograms, and its landmarks are unknown.
    """
    preparation.required_landmarks()
    with Workers(min(num_processes, len(cases))) as workers:

        def oldest() -> tuple[Case, PreparedCase | Failure, float]:
            case, outcome = workers.pop()
            prepared = Failure("preprocessing", outcome.error) if outcome.error else outcome.result
            return case, prepared, outcome.seconds

        for case in cases:
            workers.submit(case, _prepare, case, preparation, kept)
            if len(workers) > workers.num_processes:
                yield oldest()
        while workers:
            yield oldest()


def _prepare(case: Case, preparation: Preparation, kept: Subset) -> PreparedCase | Failure:
    step = "reading"
    try:
        images = read_case(case, preparation.modalities, kept, preparation.reader())
        warn_of_odd_backgrounds(images, preparation)
        step = "preprocessing"
        return preprocess(images, preparation)
    except Exception as error:  # the other cases go on
        return Failure(step, in_words(error))
