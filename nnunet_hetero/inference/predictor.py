"""nnU-Net's predictor for cases that lack modalities."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import torch
from nnunetv2.configuration import default_num_processes
from nnunetv2.inference.export_prediction import (
    convert_predicted_logits_to_segmentation_with_correct_shape,
    export_prediction_from_logits,
)
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.helpers import empty_cache

from nnunet_hetero.errors import DataError, SettingsError
from nnunet_hetero.inference.cases import Case, find_cases, kept_modalities
from nnunet_hetero.inference.modality_record import describe, record, write_record
from nnunet_hetero.inference.model_folder import checked_folds, require_hetero_modal, weights_error
from nnunet_hetero.inference.workers import prepare_cases
from nnunet_hetero.modalities import Modalities

if TYPE_CHECKING:
    from nnunet_hetero.integration.predict_flags import PredictionOptions


class HeteroModalPredictor(nnUNetPredictor):
    """Predicts with any subset of the modalities, otherwise as nnU-Net does.

    A case's subset is settled once, before the sliding window: a tile in which a present modality happens to be zero is
    still encoded from it. The latents are the posterior's means, so the same input gives the same output.

    Args:
        options: Modalities to switch off for all cases; None switches none off.
        **nnunet_arguments: Those of ``nnUNetPredictor``.

    Attributes:
        modalities: The model's modalities, known once it is initialised.
        kept: Channels that the options leave on.
        failed: Reason by case for those that could not be predicted, since the last call began.
    """

    def __init__(self, *, options: PredictionOptions | None = None, **nnunet_arguments):
        super().__init__(**nnunet_arguments)
        self.options = options
        self.failed: dict[str, str] = {}
        self._num_cases = 0

    def initialize_from_trained_model_folder(
        self,
        model_training_output_dir: str,
        use_folds: Sequence[int | str] | int | str | None,
        checkpoint_name: str = "checkpoint_final.pth",
    ) -> None:
        """Load a trained model; None as folds takes all that are there.

        Raises:
            SettingsError: If a file of the model is missing, the model is none of ours, the plans do not fit the
                weights, or the options name modalities that the model does not have.
        """
        folds = checked_folds(model_training_output_dir, use_folds, checkpoint_name)
        try:
            super().initialize_from_trained_model_folder(model_training_output_dir, folds, checkpoint_name)
        except RuntimeError as error:
            raise weights_error(model_training_output_dir, folds[0], checkpoint_name, error) from error
        require_hetero_modal(self.network, self.trainer_name, model_training_output_dir)
        self._settle_modalities()

    def manual_initialization(self, *arguments, **keywords) -> None:
        """See nnU-Net; the trainer's validation uses it."""
        super().manual_initialization(*arguments, **keywords)
        self._settle_modalities()

    def _settle_modalities(self) -> None:
        self.modalities = Modalities.from_dataset_json(self.dataset_json)
        missing, available = (self.options.missing, self.options.available) if self.options else ((), ())
        self.kept = kept_modalities(self.modalities, missing, available)

    # -- files in, files out ------------------------------------------------------------------------------------------

    def predict_from_files(
        self,
        list_of_lists_or_source_folder,
        output_folder_or_list_of_truncated_output_files,
        save_probabilities: bool = False,
        overwrite: bool = True,
        num_processes_preprocessing: int = default_num_processes,
        num_processes_segmentation_export: int = default_num_processes,
        folder_with_segs_from_prev_stage: str | None = None,
        num_parts: int = 1,
        part_id: int = 0,
    ):
        """Predict cases from files, some of which may not exist; see nnU-Net for the arguments.

        With 0 processes for a step this process does it. What each case was segmented from is printed and written to
        ``modalities.json`` in the output folder.

        Raises:
            DataError: If the input folder has no case, or no case could be predicted. Otherwise bad cases are left out
                and named in `failed`.
            SettingsError: If a previous stage's predictions are given; the model is no cascade.
        """
        if folder_with_segs_from_prev_stage is not None:
            raise SettingsError(
                "-prev_stage_predictions is given, but hetero-modal models are no cascades: a previous stage's "
                "segmentation is no modality that could be missing. Leave the flag out."
            )
        if isinstance(output_folder_or_list_of_truncated_output_files, os.PathLike):
            # nnU-Net would take any other type than str and list for "return the results".
            output_folder_or_list_of_truncated_output_files = str(output_folder_or_list_of_truncated_output_files)
        self.failed = {}
        result = super().predict_from_files(
            list_of_lists_or_source_folder,
            output_folder_or_list_of_truncated_output_files,
            save_probabilities,
            overwrite,
            num_processes_preprocessing,
            num_processes_segmentation_export,
            None,
            num_parts,
            part_id,
        )
        if self.failed and len(self.failed) == self._num_cases:
            reasons = "\n".join(f"  {reason}" for reason in self.failed.values())
            raise DataError(f"None of the {self._num_cases} case(s) could be predicted:\n{reasons}")
        return result

    def predict_from_files_sequential(
        self,
        list_of_lists_or_source_folder,
        output_folder_or_list_of_truncated_output_files,
        save_probabilities: bool = False,
        overwrite: bool = True,
        folder_with_segs_from_prev_stage: str | None = None,
    ):
        """The same without background processes."""
        return self.predict_from_files(
            list_of_lists_or_source_folder,
            output_folder_or_list_of_truncated_output_files,
            save_probabilities,
            overwrite,
            num_processes_preprocessing=0,
            num_processes_segmentation_export=0,
            folder_with_segs_from_prev_stage=folder_with_segs_from_prev_stage,
        )

    def _manage_input_and_output_lists(
        self,
        list_of_lists_or_source_folder,
        output_folder_or_list_of_truncated_output_files,
        folder_with_segs_from_prev_stage: str | None = None,
        overwrite: bool = True,
        part_id: int = 0,
        num_parts: int = 1,
        save_probabilities: bool = False,
    ) -> tuple[list[Case], list[str] | None, None]:
        """nnU-Net's hook: the cases of this part that are still to do, and their output files without ending."""
        ending = self.dataset_json["file_ending"]
        cases = find_cases(list_of_lists_or_source_folder, self.modalities, ending)[part_id::num_parts]
        outputs = output_folder_or_list_of_truncated_output_files
        if outputs is None:
            outputs = [None] * len(cases)
        elif isinstance(outputs, str):
            outputs = [os.path.join(outputs, case.name) for case in cases]
        else:
            outputs = outputs[part_id::num_parts]
        print(f"{len(cases)} case(s) to predict (part {part_id} of {num_parts}).")
        if not overwrite:
            endings = [ending, ".npz"] if save_probabilities else [ending]
            todo = [
                output is None or not all(os.path.isfile(output + suffix) for suffix in endings) for output in outputs
            ]
            print(f"{len(cases) - sum(todo)} of them are predicted already.")
            cases = [case for case, needed in zip(cases, todo, strict=True) if needed]
            outputs = [output for output, needed in zip(outputs, todo, strict=True) if needed]
        self._num_cases = len(cases)
        return cases, outputs, None

    def _internal_get_data_iterator_from_lists_of_filenames(
        self, cases: list[Case], _previous_stage: None, outputs: list[str | None], num_processes: int
    ) -> Iterator[dict]:
        """nnU-Net's hook: the preprocessed cases, as its prediction loop takes them."""
        arguments = (
            self.modalities,
            self.kept,
            self.plans_manager,
            self.configuration_manager,
            self.dataset_json,
        )
        for output, (case, prepared) in zip(outputs, prepare_cases(cases, arguments, num_processes), strict=True):
            if isinstance(prepared, DataError):
                print(f"Left out: {prepared}")
                self.failed[case.name] = str(prepared)
                continue
            entry = record(prepared, self.modalities)
            print(describe(case.name, entry))
            if output is not None:
                write_record(os.path.dirname(output) or os.curdir, os.path.basename(output), entry)
            yield {"data": torch.from_numpy(prepared.data), "data_properties": prepared.properties, "ofile": output}

    def predict_from_data_iterator(
        self,
        data_iterator,
        save_probabilities: bool = False,
        num_processes_segmentation_export: int = default_num_processes,
    ) -> list:
        """See nnU-Net; with 0 processes the export happens in this one."""
        if num_processes_segmentation_export > 0:
            return super().predict_from_data_iterator(
                data_iterator, save_probabilities, num_processes_segmentation_export
            )
        results = []
        for item in data_iterator:
            logits = self.predict_logits_from_preprocessed_data(item["data"]).cpu().numpy()
            properties, output = item["data_properties"], item["ofile"]
            managers = self.configuration_manager, self.plans_manager
            if output is not None:
                export_prediction_from_logits(
                    logits, properties, *managers, self.dataset_json, output, save_probabilities
                )
                results.append(None)
            else:
                results.append(self.to_segmentation(logits, properties, save_probabilities))
        compute_gaussian.cache_clear()
        empty_cache(self.device)
        return results

    def to_segmentation(self, logits, properties: dict, return_probabilities: bool = False):
        """Label map on the case's original grid, with probabilities on demand.

        Args:
            logits: ``(K, *spatial)``, from `predict_logits_from_preprocessed_data`.
            properties: Those of the preprocessed case.
            return_probabilities: Whether to return ``(label map, probabilities)``.
        """
        return convert_predicted_logits_to_segmentation_with_correct_shape(
            logits, self.plans_manager, self.configuration_manager, self.label_manager, properties, return_probabilities
        )

    # -- the network --------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def predict_sliding_window_return_logits(self, input_image: torch.Tensor) -> torch.Tensor:
        """Logits of one preprocessed case, ``(K, *spatial)``.

        Args:
            input_image: ``(M, *spatial)``; the modalities whose channel is not identically zero are available, in every
                tile.
        """
        available = (input_image != 0).flatten(1).any(dim=1)[None]

        def tell_available(_network, arguments):
            # nnU-Net calls network(x), once per tile and mirroring.
            (x,) = arguments
            return x, available.to(x.device).expand(len(x), -1)

        hook = self.network.register_forward_pre_hook(tell_available)
        try:
            return super().predict_sliding_window_return_logits(input_image)
        finally:
            hook.remove()
