"""Whether cases could be predicted, without predicting any."""

from __future__ import annotations

from typing import Any

from nnunet_hetero.inference.predictor import HeteroModalPredictor


class LookingPredictor(HeteroModalPredictor):
    """Refuses what `HeteroModalPredictor` refuses before the first case, and writes nothing."""

    def predict_from_files(
        self,
        list_of_lists_or_source_folder: Any,
        output_folder_or_list_of_truncated_output_files: Any,
        save_probabilities: bool = False,
        *_arguments: Any,
        folder_with_segs_from_prev_stage: str | None = None,
        **_keywords: Any,
    ) -> None:
        """See `HeteroModalPredictor`."""
        self.refuse_cascade(folder_with_segs_from_prev_stage)
        self.cases_of_part(
            list_of_lists_or_source_folder,
            output_folder_or_list_of_truncated_output_files,
            save_probabilities=save_probabilities,
        )
