"""`nnunet_hetero plan` for our network: widths, patch and batch that fit into memory."""

from __future__ import annotations

import json
import math
from copy import deepcopy

import numpy as np
import pytest
import torch
from helpers.tiny_model import tiny_plans
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_hetero.cli.main import main
from nnunet_hetero.config import KEY
from nnunet_hetero.network.hetero_modal import HeteroModalVAE
from nnunet_hetero.network.widths import AUTO, DEFAULT, NARROW, PAPER, WIDE
from nnunet_hetero.planning.capacity import describe_choice, plan_capacity

DATASET = "Dataset501_Brains"
SHAPE = (136, 170, 138)
"""Of a brain at 1 mm."""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A dataset of 40 brains at 1 mm, as nnU-Net leaves it after planning; no image is there, none is needed."""
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        (tmp_path / name / DATASET).mkdir(parents=True)
        monkeypatch.setenv(name, str(tmp_path / name))
    raw, folder = tmp_path / "nnUNet_raw" / DATASET, tmp_path / "nnUNet_preprocessed" / DATASET
    content = {
        "channel_names": {str(number): name for number, name in enumerate(("T1", "T1c", "T2", "FLAIR"))},
        "labels": {"background": 0, "whole tumor": [1, 2, 3], "tumor core": [2, 3], "enhancing tumor": 3},
        "regions_class_order": [1, 2, 3],
        "numTraining": 40,
        "file_ending": ".nii.gz",
    }
    (raw / "imagesTr").mkdir()
    (raw / "labelsTr").mkdir()
    fingerprint = {
        "spacings": [[1.0] * 3] * 40,
        "shapes_after_crop": [list(SHAPE)] * 40,
        "foreground_intensity_properties_per_channel": {},
        "median_relative_size_after_cropping": 0.5,
    }
    plans = planned_by_nnunet()
    for file, value in (
        (raw / "dataset.json", content),
        (folder / "dataset.json", content),
        (folder / "dataset_fingerprint.json", fingerprint),
        (folder / "nnUNetPlans.json", plans),
    ):
        file.write_text(json.dumps(value))
    return folder


def planned_by_nnunet() -> dict:
    """What nnU-Net 2.8 plans for brains of that size with 8 GB."""
    plans = tiny_plans()
    plans |= {"dataset_name": DATASET, "original_median_shape_after_transp": list(SHAPE)}
    (tiny,) = plans["configurations"].values()
    levels = 6
    for name, patch, batch in (("3d_fullres", [128, 128, 128], 2), ("2d", [192, 160], 105)):
        axes = len(patch)
        configuration = deepcopy(tiny) | {
            "data_identifier": f"nnUNetPlans_{name}",
            "batch_size": batch,
            "patch_size": patch,
            "median_image_size_in_voxels": list(SHAPE[-axes:]),
            "spacing": [1.0] * axes,
        }
        configuration["architecture"]["arch_kwargs"] |= {
            "n_stages": levels,
            "features_per_stage": [32, 64, 128, 256, 320, 320],
            "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
            "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
            "kernel_sizes": [[3] * axes] * levels,
            "strides": [[1] * axes, *[[2] * axes] * (levels - 1)],
            "n_conv_per_stage": [2] * levels,
            "n_conv_per_stage_decoder": [2] * (levels - 1),
        }
        plans["configurations"][name] = configuration
    return plans


def planned(folder, name: str = "nnUNetHeteroPlans", configuration: str = "3d_fullres") -> dict:
    plans = json.loads((folder / f"{name}.json").read_text())
    assert plans["plans_name"] == name
    return PlansManager(plans).get_configuration(configuration).configuration


def choice(folder, capacity: str, gigabytes: float, configuration: str = "3d_fullres"):
    plans = json.loads((folder / "nnUNetPlans.json").read_text())
    return plan_capacity(plans, plans["configurations"][configuration], DATASET, {}, capacity, gigabytes)


class TestOtherTrainers:
    def test_memory_is_that_of_the_trainers_network(self, folder, capsys):
        plans = json.loads((folder / "nnUNetPlans.json").read_text())
        configuration = plans["configurations"]["3d_fullres"]
        ours, uhemis, plain = (
            plan_capacity(plans, configuration, DATASET, {}, DEFAULT, 8.0, trainer)
            for trainer in ("HeteroModalVAETrainer", "UHeMISTrainer", "ModalityDropoutTrainer")
        )
        # It lets a larger patch fit, and takes less memory for it.
        assert math.prod(plain.changes["patch_size"]) > math.prod(ours.changes["patch_size"])
        assert plain.gigabytes < ours.gigabytes != uhemis.gigabytes
        lines = describe_choice("3d_fullres", configuration, uhemis, "UHeMISTrainer")
        assert not [line for line in lines if "latents" in line or "image decoder" in line]
        (encoder,) = (line for line in lines if "each encoder" in line)
        assert encoder.split()[2] == "16/32/64/128/160/160"

    def test_a_network_that_does_not_say(self, folder, capsys):
        assert main(["plan", "-d", "501", "-tr", "UHVEDPaperTrainer", "-c", "3d_fullres"]) == 1
        assert "PaperUHVED does not say how much memory it needs" in capsys.readouterr().err

    def test_unknown_trainer(self, folder, capsys):
        assert main(["plan", "-d", "501", "-tr", "MyTrainer", "-c", "3d_fullres"]) == 1
        assert "no trainer 'MyTrainer'. Known are HeteroModalVAETrainer" in capsys.readouterr().err


class TestCommand:
    def test_without_flags(self, folder, capsys):
        """Widths, patch and batch for our network, on the same preprocessed data; what was chosen is said."""
        assert main(["plan", "-d", "501"]) == 0
        before = planned_by_nnunet()["configurations"]["3d_fullres"]
        found = planned(folder)
        assert found["data_identifier"] == "nnUNetPlans_3d_fullres"
        assert found["normalization_schemes"] == before["normalization_schemes"]
        median = before["median_image_size_in_voxels"]
        multiples = np.prod(found["architecture"]["arch_kwargs"]["strides"], axis=0)
        for size, largest, multiple in zip(found["patch_size"], median, multiples, strict=True):
            assert size % multiple == 0 and size < largest + multiple
        network = HeteroModalVAE.from_plans(
            PlansManager(planned_plans(folder)).get_configuration("3d_fullres"), 4, 3, True
        )
        assert network(torch.zeros(1, 4, 64, 64, 64)) is not None
        printed = capsys.readouterr().out
        assert "3d_fullres: " in printed and "2d: " in printed
        assert f"patch                {'×'.join(map(str, found['patch_size']))} (nnU-Net: 128×128×128)" in printed
        assert "GB on a GPU (target 8)" in printed
        assert "Train with: nnunet_hetero train 501 3d_fullres|2d FOLD -p nnUNetHeteroPlans" in printed

    def test_more_memory_allows_a_larger_patch(self, folder):
        sizes = []
        for gigabytes in ("2", "6", "20"):
            assert main(["plan", "-d", "501", "-gpu_memory_target", gigabytes, "--overwrite", "-c", "3d_fullres"]) == 0
            found = planned(folder)
            sizes.append(math.prod(found["patch_size"]) * found["batch_size"])
        assert sizes == sorted(set(sizes))

    def test_with_settings(self, folder, capsys):
        """A width given by name goes before that of the capacity."""
        flags = ["--capacity", "narrow", "--set", "encoder_width=0.75", "seed=3", "--out_plans", "Mine"]
        assert main(["plan", "-d", "501", *flags]) == 0
        settings = planned(folder, "Mine")[KEY]
        assert (settings["encoder_width"], settings["latent_width"], settings["seed"]) == (0.75, 0.25, 3)
        assert "16/48/96" in capsys.readouterr().out

    def test_settings_alone_leave_the_patch(self, folder):
        assert main(["plan", "-d", "501", "--set", "seed=3", "--out_plans", "Mine"]) == 0
        found, before = planned(folder, "Mine"), planned_by_nnunet()["configurations"]["3d_fullres"]
        assert {key: found[key] for key in before} == before

    @pytest.mark.parametrize("value", ["0", "-3", "nan"])
    def test_impossible_memory(self, folder, capsys, value):
        assert main(["plan", "-d", "501", "-gpu_memory_target", value]) == 1
        assert "must be above 0" in capsys.readouterr().err
        assert not (folder / "nnUNetHeteroPlans.json").exists()

    def test_without_the_fingerprint(self, folder, capsys):
        (folder / "dataset_fingerprint.json").unlink()
        assert main(["plan", "-d", "501"]) == 1
        printed = capsys.readouterr().err
        assert "Fingerprint missing" in printed and "nnUNetv2_plan_and_preprocess" in printed

    def test_name_is_needed_for_settings(self, folder, capsys):
        assert main(["plan", "-d", "501", "--set", "seed=3"]) == 1
        assert "--out_plans" in capsys.readouterr().err


def planned_plans(folder) -> dict:
    return json.loads((folder / "nnUNetHeteroPlans.json").read_text())


class TestChoice:
    @pytest.mark.parametrize("capacity", [DEFAULT, NARROW, WIDE, PAPER])
    @pytest.mark.parametrize("gigabytes", [3.0, 8.0])
    def test_fits(self, folder, capacity, gigabytes):
        """By nnU-Net's measure, 560 million elements of the feature maps of 2 samples for 8 GB."""
        found = choice(folder, capacity, gigabytes)
        assert found.gigabytes <= gigabytes
        assert found.target == gigabytes

    def test_wider_needs_a_smaller_patch_at_the_same_memory(self, folder):
        voxels = [math.prod(choice(folder, name, 5.0).changes["patch_size"]) for name in (WIDE, DEFAULT, NARROW)]
        assert voxels == sorted(voxels) and voxels[0] < voxels[-1]

    def test_default_takes_more_memory_than_nnunets_network_and_narrow_less(self, folder):
        """By the patch at the same memory and batch, see nnU-Net's own plan for 8 GB."""
        nnunets = planned_by_nnunet()["configurations"]["3d_fullres"]
        found = {name: choice(folder, name, 8.0).changes for name in (DEFAULT, NARROW)}
        assert {changes["batch_size"] for changes in found.values()} == {nnunets["batch_size"]}
        voxels = {name: math.prod(changes["patch_size"]) for name, changes in found.items()}
        assert voxels[DEFAULT] <= math.prod(nnunets["patch_size"]) <= voxels[NARROW]

    def test_widths_of_the_paper(self, folder):
        """8 to 64 features in four levels of an encoder, half in latents and decoders (Dorent et al., section 4)."""
        changes = choice(folder, PAPER, 8.0).changes
        manager = PlansManager({**planned_by_nnunet(), "configurations": {"x": changes}}).get_configuration("x")
        network = HeteroModalVAE.from_plans(manager, 4, 3, True)
        assert network.encoders[0].backbone.output_channels[:4] == [8, 16, 32, 64]
        assert network.channels[:4] == [4, 8, 16, 32]
        assert [stage.convs[-1].output_channels for stage in network.decoder.stages][-4:] == [32, 16, 8, 4]

    def test_auto(self, folder):
        """The default's widths where nnU-Net's patch fits, narrow ones where only they let it fit, else the largest."""
        found = {gigabytes: choice(folder, AUTO, gigabytes) for gigabytes in (24.0, 8.0, 1.0)}
        patch = math.prod(planned_by_nnunet()["configurations"]["3d_fullres"]["patch_size"])
        fits = {gigabytes: math.prod(entry.changes["patch_size"]) >= patch for gigabytes, entry in found.items()}
        assert fits == {24.0: True, 8.0: True, 1.0: False}
        assert [entry.capacity for entry in found.values()] == [DEFAULT, NARROW, NARROW]
        assert len({entry.reason for entry in found.values()}) == 3

    def test_batch_covers_five_percent_of_the_dataset_at_most(self, folder):
        """nnU-Net's rule, also for slices, of which an image has many."""
        found = choice(folder, DEFAULT, 1000.0, "2d").changes
        assert 0.04 < math.prod(found["patch_size"]) * found["batch_size"] / (40 * math.prod(SHAPE)) < 0.06
