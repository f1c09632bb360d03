"""What plans may name: nothing but parts of nnU-Net, of its networks and of torch is found, and nothing is imported."""

from __future__ import annotations

import sys

import pytest
from helpers.tiny_model import tiny_plans

from nnunet_hetero.errors import SettingsError
from nnunet_hetero.nnunet.model_gate import require_plain_plans
from nnunet_hetero.nnunet.plan_names import is_layer, is_network, is_reader, named_by_plans

ARCHITECTURES = "dynamic_network_architectures.architectures"


@pytest.fixture
def module_of_the_user(tmp_path, monkeypatch):
    """A module that leaves a file when it is imported, and classes that would pass for layers and networks."""
    trap = tmp_path / "trap"
    (tmp_path / "module_of_the_user.py").write_text(
        f"open({str(trap)!r}, 'w').close()\nfrom torch import nn\nclass Norm(nn.InstanceNorm3d): pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    yield trap
    assert not trap.exists() and "module_of_the_user" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        "torch.nn.LeakyReLU",
        "torch.nn.modules.conv.Conv3d",
        "torch.nn.modules.instancenorm.InstanceNorm2d",
        "torch.nn.modules.batchnorm.BatchNorm3d",
        "torch.nn.GroupNorm",
        "torch.nn.Dropout3d",
        "dynamic_network_architectures.building_blocks.residual.BottleneckD",
    ],
)
def test_layers(name):
    assert is_layer(name)


NEITHER = [
    *("torch.hub.load", "torch.load", "os.system", "subprocess.Popen", "builtins.eval", "torch.nn.functional.relu"),
    *("torch.nn.functional.os.system", "torch.nn.modules.conv.os.system", "torch.nn.Sequential", "torch.nn.Module"),
    # Classes at places where layers are, but no layers.
    *("torch.nn.modules.conv._LazyConvXdMixin", "torch.nn.modules.adaptive._ASMoutput"),
    *("torch.nn.modules.conv.Conv3d.__init__", "torch.nn.modules.module_of_the_user.Norm", "module_of_the_user.Norm"),
    *("torch.nn", "LeakyReLU", "torch/nn/LeakyReLU", "", 3, None, ["torch.nn.ReLU"]),
    *(f"{ARCHITECTURES}.unet.os.system", f"{ARCHITECTURES}.unet.np.load", f"{ARCHITECTURES}.unet.nn.Module"),
]


@pytest.mark.parametrize("name", NEITHER, ids=str)
def test_anything_else_is_neither_layer_nor_network(name, module_of_the_user):
    assert not is_layer(name) and not is_network(name)


@pytest.mark.parametrize(
    "name",
    [
        f"{ARCHITECTURES}.unet.PlainConvUNet",
        f"{ARCHITECTURES}.unet.ResidualEncoderUNet",
        # As plans of old versions are turned into new ones by nnU-Net, which then searches for it.
        f"{ARCHITECTURES}.residual_unet.ResidualEncoderUNet",
    ],
)
def test_networks(name):
    assert is_network(name)


def test_a_layer_is_no_network():
    assert not is_network("torch.nn.modules.conv.Conv3d")


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("SimpleITKIO", True),
        ("NibabelIOWithReorient", True),
        ("Tiff3DIO", True),
        ("sitk", False),
        ("np", False),
        ("os", False),
        ("determine_reader_writer_from_dataset_json", False),
        ("module_of_the_user.Reader", False),
        ({}, False),
    ],
)
def test_readers(name, right):
    assert is_reader(name) == right


def wrong_names(plans: dict) -> list[str]:
    return [place for place, name, is_right, _ in named_by_plans(plans) if name is not None and not is_right(name)]


def test_plans_of_nnunet_are_right():
    assert wrong_names(tiny_plans()) == []


@pytest.mark.parametrize("key", ["image_reader_writer", "label_manager"])
@pytest.mark.parametrize("name", ["os", "np", "load_json", "a.b", "Nobody", 5])
def test_names_of_the_plans(key, name):
    assert wrong_names({**tiny_plans(), key: name}) == [key]


def test_a_planner_of_others_need_not_be_there():
    assert wrong_names({**tiny_plans(), "experiment_planner_used": "PlannerOfSomebody"}) == []
    assert wrong_names({**tiny_plans(), "experiment_planner_used": "load_json"}) == ["experiment_planner_used"]


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("preprocessor_name", ["os", "load_json", "subprocess", "DefaultNormalization"]),
        ("resampling_fn_data", ["np", "resize", "partial", "OrderedDict", "recursive_find_resampling_fn_by_name_x"]),
        ("resampling_fn_probabilities", ["torch", "rearrange"]),
        ("resampling_fn_seg", ["pd", "map_coordinates"]),
    ],
)
def test_names_of_a_configuration(key, names):
    for name in names:
        plans = tiny_plans()
        plans["configurations"]["3d_fullres"][key] = name
        assert wrong_names(plans) == [f"{key} of the configuration 3d_fullres"], name


def test_normalisations_and_what_a_configuration_inherits():
    plans = tiny_plans()
    plans["configurations"]["mine"] = {"inherits_from": "3d_fullres", "normalization_schemes": ["np"]}
    plans["configurations"]["other"] = {"architecture": {"network_class_name": "torch.hub.load"}}
    assert wrong_names(plans) == [
        "normalization_schemes of the configuration mine",
        "network_class_name of the configuration other",
    ]


def test_a_class_of_torch_that_is_no_layer_is_refused():
    """Whatever is called with a plan's arguments must be a module."""
    for name in ("torch.nn.parameter.Parameter", "torch.nn.modules.lazy.LazyModuleMixin"):
        plans = tiny_plans()
        plans["configurations"]["3d_fullres"]["architecture"]["arch_kwargs"]["conv_op"] = name
        with pytest.raises(SettingsError, match="conv_op"):
            require_plain_plans(plans, "plans.json")
