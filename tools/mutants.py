"""A small mutation check: one fault after the other is put into a copy of the code, and tests must find each.

    python tools/mutants.py            # all
    python tools/mutants.py muon kl    # those whose name has one of these words

Prints the survivors; exit code 1 if more than one in ten survive, or a fault no longer fits the code.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
COPIED = ("nnunet_hetero", "dataset_conversion", "tests", "docs", "pyproject.toml", "setup.py", "benchmarks", "tools")
ALLOWED = 0.1  # share of survivors


class Mutant(NamedTuple):
    """A fault.

    Attributes:
        name: What is wrong.
        file: Where, from the repository's root.
        before: Code, once in the file.
        after: What it becomes.
        tests: Files or tests that must find it.
    """

    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]


RELIABILITY, INTAKE = "nnunet_hetero/reliability/", "nnunet_hetero/intake/"
NETWORK, TRAINING, ENGINE = "nnunet_hetero/network/", "nnunet_hetero/training/", "nnunet_hetero/inference/engine/"
OPTIMISED = ("tests/training/test_vae_trainer.py::TestWhatIsOptimised",)
STATISTICS = ("tests/inference/engine/test_latent_draws.py",)
SUBSETS = ("tests/inference/engine/test_subset_prediction.py",)

MUTANTS = (
    Mutant(
        "the quantile of an interval is one patient too low",
        RELIABILITY + "conformal.py",
        "math.ceil(round(level * (patients + 1), _ROUNDING))",
        "math.ceil(round(level * patients, _ROUNDING))",
        ("tests/reliability/test_conformal.py",),
    ),
    Mutant(
        "any case of a patient counts, not the worst",
        "nnunet_hetero/calibration/fit.py",
        "largest[key] = max(score, largest.get(key, 0.0))",
        "largest[key] = score",
        ("tests/calibration/test_fit.py",),
    ),
    Mutant(
        "images optimised without their number",
        TRAINING + "vae_trainer.py",
        "optimised + len(self.modalities) * reconstruction",
        "optimised + reconstruction",
        OPTIMISED,
    ),
    Mutant(
        "latents get all of the images' gradient",
        NETWORK + "hetero_modal.py",
        "config.reconstruction_weight / num_modalities",
        "config.reconstruction_weight",
        OPTIMISED,
    ),
    Mutant(
        "the divergence is not optimised",
        TRAINING + "vae_trainer.py",
        "segmentation + self.hetero.kl_weight * output.kl",
        "segmentation + 0 * output.kl",
        OPTIMISED,
    ),
    Mutant(
        "Muon steps along the plain mean",
        TRAINING + "optimization/muon.py",
        "directions = torch._foreach_lerp(gradients, means, momentum)",
        "directions = means",
        ("tests/training/optimization/test_muon.py",),
    ),
    Mutant(
        "Muon does not decay weights",
        TRAINING + "optimization/muon.py",
        'group["momentum"], 1 - group["lr"] * group["weight_decay"]',
        'group["momentum"], 1',
        ("tests/training/optimization/test_muon.py",),
    ),
    Mutant(
        "kl of several subsets is that of the first",
        NETWORK + "variational.py",
        "outputs.append(HeteroModalOutput(segmentation, completion, posterior, kl))",
        "outputs.append(HeteroModalOutput(segmentation, completion, posterior, outputs[0].kl if outputs else kl))",
        ("tests/network/test_variational.py",),
    ),
    Mutant(
        "entropies of other folds are lost",
        ENGINE + "latent_draws.py",
        "self._entropy = _mean(self._entropy, other._entropy, share)",
        "pass",
        STATISTICS,
    ),
    Mutant(
        "decisions of other folds are lost",
        ENGINE + "latent_draws.py",
        "self._hits = _with_room(self._hits, self.number).add_(other._hits)",
        "pass",
        STATISTICS,
    ),
    Mutant(
        "images are completed for the first sample's subset",
        ENGINE + "sliding_window.py",
        "torch.stack([items[row].maps.subset for row in rows])",
        "torch.stack([items[0].maps.subset for row in rows])",
        SUBSETS,
    ),
    Mutant(
        "draws of a tile do not depend on the view",
        ENGINE + "tiling.py",
        "generator_of(model.device, *key, view, tile, draw)",
        "generator_of(model.device, *key, tile, draw)",
        ("tests/inference/engine/test_tiling.py",),
    ),
    Mutant(
        "a case without its row in a table counts as done",
        "nnunet_hetero/inference/earlier_run.py",
        "cases_with_row(self.folder / table) for table in writer.tables()",
        "cases_with_row(self.folder / table) for table in ()",
        ("tests/inference/test_earlier_run.py",),
    ),
    Mutant(
        "files that name the guard are written before it",
        "nnunet_hetero/integration/activation.py",
        "reversed(startup_files().items())",
        "startup_files().items()",
        ("tests/integration/test_activation.py",),
    ),
    Mutant(
        "ranks validate the same subsets",
        TRAINING + "validation.py",
        "chosen[self.ranks.number :: self.ranks.count]",
        "chosen[:: self.ranks.count]",
        ("tests/training/test_validation.py",),
    ),
    Mutant(
        "a plan may name any class of torch",
        "nnunet_hetero/nnunet/plan_names.py",
        "isinstance(found, type) and issubclass(found, nn.Module)",
        "isinstance(found, type)",
        ("tests/nnunet/test_plan_names.py", "tests/nnunet/test_model_gate.py"),
    ),
    Mutant(
        "rare regions weigh as much as common ones",
        "nnunet_hetero/splits/schemes.py",
        "weights = 1 / counts.sum(axis=0)",
        "weights = np.ones_like(counts.sum(axis=0), dtype=float)",
        ("tests/splits",),
    ),
    Mutant(
        "the prior is left out of the product",
        NETWORK + "fusing/product.py",
        "negated.fill_(-1.0)",
        "negated.fill_(-1e-6)",
        ("tests/network/test_fusion.py",),
    ),
    Mutant(
        "a draw does not move the variance",
        NETWORK + "fusing/product.py",
        "torch.mul(gradient, deviation).mul_(0.5)",
        "torch.mul(gradient, deviation).mul_(0.0)",
        ("tests/network/fusing",),
    ),
    Mutant(
        "replaced layers stay in a block's sequence",
        NETWORK + "fast_cpu.py",
        "setattr(parent, name, replacements[child])",
        "isinstance(parent, nn.Sequential) or setattr(parent, name, replacements[child])",
        ("tests/network/test_fast_cpu.py",),
    ),
    Mutant(
        "gradients are not clipped",
        TRAINING + "optimization/step.py",
        "nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_NORM)",
        "pass",
        ("tests/training/optimization/test_step.py",),
    ),
    Mutant(
        "an absent channel keeps its values in early fusion",
        NETWORK + "hetero_network.py",
        "on_host(self.availability(x) if available is None else available)",
        "on_host(self.availability(x))",
        ("tests/network/test_early_fusion.py",),
    ),
    Mutant(
        "a single modality is segmented from all that a sample is seen through",
        NETWORK + "variational.py",
        "kept += restricted([part], single, self._finest_of_alone)",
        "kept.append(part)",
        ("tests/network/test_variational.py",),
    ),
    Mutant(
        "a fork hears a scheduler's signals as its parent does",
        "nnunet_hetero/io/stopping/handlers.py",
        "if signal.getsignal(number) in _of_this_process:",
        "if False:",
        ("tests/io/stopping/test_handlers.py",),
    ),
    Mutant(
        "results stay in the orientation of the model",
        "nnunet_hetero/cases/oriented_reader.py",
        "    if stored is None:\n        return array\n",
        "    if True:\n        return array\n",
        ("tests/cases/test_oriented_reader.py",),
    ),
    Mutant(
        "rounding decides the orientation at 45 degrees",
        "nnunet_hetero/cases/orientation.py",
        "_TILT = 1e-4",
        "_TILT = 0.0",
        ("tests/cases/test_orientation.py::TestObliqueness",),
    ),
    Mutant(
        "a training of two orientations",
        TRAINING + "data/orientation.py",
        "if len(set(found.values())) > 1",
        "if len(set(found.values())) > 2",
        ("tests/training/data/test_orientation.py",),
    ),
    Mutant(
        "two candidates for a modality, and the first is taken",
        INTAKE + "proposal/candidates.py",
        'return Verdict("", DOUBTFUL, why, (verdict.modality,))\n',
        "return verdict\n",
        ("tests/intake/proposal/test_candidates.py",),
    ),
    Mutant(
        "a gap between DICOM slices is nothing",
        INTAKE + "dicom/stack.py",
        "> TOLERANCE * usual",
        "> 10 * usual",
        ("tests/intake/dicom/test_stack.py",),
    ),
    Mutant(
        "a tilted gantry is nothing",
        INTAKE + "dicom/stack.py",
        "if sideways > TOLERANCE",
        "if sideways > 1e3",
        ("tests/intake/dicom/test_stack.py",),
    ),
    Mutant(
        "a zip may write anywhere",
        INTAKE + "files/tree.py",
        '".." in PurePosixPath(name).parts',
        "False",
        ("tests/intake/files/test_tree.py",),
    ),
    Mutant(
        "slices of a DICOM Segmentation in the file's order",
        INTAKE + "dicom_seg.py",
        "mask[:, :, order]",
        "mask[:, :, ::-1]",
        ("tests/intake/test_dicom_seg.py",),
    ),
    Mutant(
        "each fold's scores are laid around the mean of all folds",
        RELIABILITY + "intervals.py",
        "np.repeat(places, numbers)",
        "np.full(patients, places.mean())",
        ("tests/reliability/test_intervals.py",),
    ),
    Mutant(
        "a turned file says that it lies as before",
        "nnunet_hetero/reorient/turned_file.py",
        'getattr(old, f"get_{name}")() @ to_old_index',
        'getattr(old, f"get_{name}")()',
        ("tests/reorient/test_turned_file.py",),
    ),
    Mutant(
        "a training that goes on draws anew",
        TRAINING + "continuable_trainer.py",
        "            set_random_state(self._resumed_random_state)\n",
        "",
        ("tests/training/test_continuable_trainer.py::test_stopped_in_a_training_step_and_in_a_validation_step",),
    ),
    Mutant(
        "a training that goes on takes a worse epoch for the best",
        TRAINING + "continuable_trainer.py",
        "self._best_ema = best_score_of_epoch(filename_or_checkpoint, self.current_epoch, self._best_ema)",
        "pass",
        ("tests/training/test_continuable_trainer.py::test_the_best_score_is_that_of_the_epoch",),
    ),
    Mutant(
        "results go back along the way that the images came",
        INTAKE + "way_back.py",
        "self.transforms[name].GetInverse()",
        "self.transforms[name]",
        ("tests/intake/test_way_back.py",),
    ),
    Mutant(
        "results of other images are brought back",
        INTAKE + "returning/one_case.py",
        "    _require_of_these_images(job)\n",
        "",
        ("tests/intake/returning/test_one_case.py", "tests/intake/returning/test_run.py"),
    ),
    Mutant(
        "cases without a segmentation count as segmented",
        TRAINING + "data/unlabelled.py",
        "if self.rows is None or self.of_all_ranks:",
        "if True:",
        ("tests/training/data/test_unlabelled.py",),
    ),
    Mutant(
        "a batch without any segmentation has a loss that is no number",
        TRAINING + "data/unlabelled.py",
        "        if not self.rows:\n",
        "        if False:\n",
        ("tests/training/data/test_unlabelled.py",),
    ),
    Mutant(
        "what is taught counts where there is a segmentation, too",
        TRAINING + "optimization/distillation.py",
        "own, taught = own * self.where, taught * self.where",
        "own, taught = own, taught",
        ("tests/training/optimization/test_distillation.py",),
    ),
    Mutant(
        "the teacher draws its latents",
        TRAINING + "optimization/distillation.py",
        "    network.eval()\n",
        "",
        ("tests/training/optimization/test_distillation.py",),
    ),
)


def copy_of_the_code(folder: Path) -> None:
    """Copy what tests need."""
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    (folder / "nnunet_hetero" / "dataset_conversion").symlink_to(folder / "dataset_conversion")  # as if editable


def survives(mutant: Mutant, folder: Path) -> bool:
    """Whether the tests pass with the fault in the copy.

    Raises:
        ValueError: If the code that the fault replaces is not there exactly once.
    """
    file = folder / mutant.file
    text = file.read_text(encoding="utf-8")
    if text.count(mutant.before) != 1:
        raise ValueError(f"{mutant.file} has {text.count(mutant.before)} times: {mutant.before}")
    file.write_text(text.replace(mutant.before, mutant.after), encoding="utf-8")
    try:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests]
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode not in (0, 1):
            raise ValueError(f"the tests did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        return done.returncode == 0
    finally:
        file.write_text(text, encoding="utf-8")


def main(words: list[str]) -> int:
    """Try the faults; 1 if too many survive, or one does not fit."""
    chosen = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    survivors, misfits = [], []
    with tempfile.TemporaryDirectory() as name:
        copy_of_the_code(folder := Path(name))
        for mutant in chosen:
            try:
                alive = survives(mutant, folder)
            except ValueError as error:
                misfits.append(mutant)
                print(f"does not fit  {mutant.name}: {error}", flush=True)
                continue
            print(f"{'SURVIVES' if alive else 'found':<14}{mutant.name}", flush=True)
            if alive:
                survivors.append(mutant)
    print(f"{len(survivors)} of {len(chosen)} survive.")
    return int(bool(misfits) or len(survivors) > ALLOWED * len(chosen))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
