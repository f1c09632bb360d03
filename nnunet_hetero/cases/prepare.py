"""Many cases, read, checked and preprocessed in background processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nnunet_hetero.cases.find import Case
from nnunet_hetero.cases.histogram import Landmarks
from nnunet_hetero.cases.preprocess import PreparedCase, preprocess, read_case
from nnunet_hetero.io.processes import Workers, in_words
from nnunet_hetero.modalities import Modalities, Subset


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
    cases: Sequence[Case],
    modalities: Modalities,
    kept: Subset,
    plans_manager,
    configuration_manager,
    dataset_json: dict,
    landmarks: Landmarks | None,
    num_processes: int,
) -> Iterator[tuple[Case, PreparedCase | Failure, float]]:
    """Read, check and preprocess cases, in their order.

    Args:
        cases: The cases.
        modalities: The dataset's modalities.
        kept: Channels that may be used.
        plans_manager: nnU-Net's.
        configuration_manager: nnU-Net's.
        dataset_json: Content of ``dataset.json``.
        landmarks: Of the model, see `preprocess`.
        num_processes: Number of background processes; 0 works in this process. At most that many cases wait in memory.

    Yields:
        Each case with its input, or with what is wrong with it, and the seconds that it took.
    """
    arguments = modalities, kept, plans_manager, configuration_manager, dataset_json, landmarks
    with Workers(min(num_processes, len(cases))) as workers:

        def oldest():
            case, outcome = workers.pop()
            prepared = Failure("preprocessing", outcome.error) if outcome.error else outcome.result
            return case, prepared, outcome.seconds

        for case in cases:
            workers.submit(case, _prepare, case, *arguments)
            if len(workers) > workers.num_processes:
                yield oldest()
        while workers:
            yield oldest()


def _prepare(
    case: Case,
    modalities: Modalities,
    kept: Subset,
    plans_manager,
    configuration_manager,
    dataset_json: dict,
    landmarks: Landmarks | None,
) -> PreparedCase | Failure:
    step = "reading"
    try:
        images = read_case(case, modalities, kept, plans_manager.image_reader_writer_class())
        step = "preprocessing"
        return preprocess(images, plans_manager, configuration_manager, dataset_json, landmarks)
    except Exception as error:  # the other cases go on
        return Failure(step, in_words(error))
