"""The documentation says what is: commands and flags, settings, links and pictures, JSON and Python examples."""

from __future__ import annotations

import argparse
import dataclasses
import importlib
import json
import re
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from helpers.project.pages import FENCE, ROOT, code_blocks, commands_in

from nnunet_hetero.cli.cluster.map import parser_of_cluster
from nnunet_hetero.cli.cluster.mapped import train_parser
from nnunet_hetero.cli.cluster.submit import parser_of_submission
from nnunet_hetero.cli.data.convert import CONVERTERS
from nnunet_hetero.cli.data.plan import of_settings_alone
from nnunet_hetero.cli.main import COMMANDS
from nnunet_hetero.cluster.job_array import tasks_of
from nnunet_hetero.cluster.resources import read_resources
from nnunet_hetero.config import KEY, HeteroModalConfig, rule_of
from nnunet_hetero.demo.settings import BARS
from nnunet_hetero.errors import HeteroError
from nnunet_hetero.evaluation.scores.metric_options import MetricOptions
from nnunet_hetero.inference.options import split_prediction_flags
from nnunet_hetero.integration.nnunet_flags import with_default_trainer
from nnunet_hetero.integration.train_command import split_train_flags
from nnunet_hetero.modalities import Modalities
from nnunet_hetero.planning.settings import assigned_settings
from nnunet_hetero.subset_sampling import read_draw

PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


every_page = pytest.mark.parametrize("page", PAGES, ids=name_of)


# -- commands ---------------------------------------------------------------------------------------------------------


class _ParserFound(Exception):
    def __init__(self, parser: argparse.ArgumentParser):
        self.parser = parser


@cache
def nnunet_parser(command: str) -> argparse.ArgumentParser:
    """The parser that a command of nnU-Net builds, caught at the moment when it is used."""
    (entry,) = metadata.entry_points(group="console_scripts", name=command)
    module = importlib.import_module(entry.module)
    function = getattr(module, entry.attr)
    function = getattr(function, "__wrapped__", function)  # hooked, if the environment is activated

    def found(parser, *arguments, **keywords):
        raise _ParserFound(parser)

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(argparse.ArgumentParser, "parse_known_args", found)
        with pytest.raises(_ParserFound) as caught:
            function()
    return caught.value.parser


def check_nnunet_command(command: str, arguments: list[str]) -> None:
    if command.startswith("nnUNetv2_predict"):
        _, arguments = split_prediction_flags(arguments, prog=command)
    nnunet_parser(command).parse_args(arguments)


def check_our_command(arguments: list[str]) -> None:
    name, *rest = arguments
    if name == "train":
        return check_nnunet_command("nnUNetv2_train", with_default_trainer(split_train_flags(rest)[1]))
    if name == "predict" and "-m" in rest:
        return check_nnunet_command("nnUNetv2_predict_from_modelfolder", rest)
    if name == "predict":
        return check_nnunet_command("nnUNetv2_predict", with_default_trainer(rest))
    if name == "map":
        _, own = parser_of_cluster().parse_known_args(rest)
        return train_parser().parse_args(own[1:]) if own[0] == "train" else check_our_command(own)
    if name == "submit":
        found = parser_of_submission().parse_args(rest)
        return tasks_of(found.command, found.arguments, found.parts)
    command = COMMANDS[name]
    if name == "convert":
        command, rest = CONVERTERS[rest[0]], rest[1:]
    parser = argparse.ArgumentParser(prog=f"nnunet_hetero {name}")
    importlib.import_module(command.module).add_arguments(parser)
    found = parser.parse_args(rest)
    if name == "plan":
        of_settings_alone(found)
        assert set(assigned_settings(found.set)) <= {entry.name for entry in fields()}, "no such setting"


@every_page
def test_commands_exist_and_know_their_flags(page):
    for block in code_blocks(page, "bash"):
        for command, *arguments in commands_in(block):
            try:
                if command == "nnunet_hetero":
                    check_our_command(arguments)
                elif command.startswith("nnUNetv2_"):
                    check_nnunet_command(command, arguments)
                elif command == "make":
                    assert f"\n{arguments[0]}:" in (ROOT / "Makefile").read_text(encoding="utf-8"), "no such target"
            except (SystemExit, KeyError, ValueError, AssertionError, HeteroError) as error:
                raise AssertionError(f"{name_of(page)}: '{command} {' '.join(arguments)}' fails: {error!r}") from error


def test_wrong_commands_are_found():
    for text in (
        "nnunet_hetero evaluate -d 501 -c 3d_fullres --no-such-flag",
        "nnunet_hetero no_such_command",
        "nnunet_hetero plan -d 501 --set seed=3",
        "nnunet_hetero plan -d 501 --set no_such_setting=3 --out_plans Mine",
        "A=1 nnUNetv2_train 501 3d_fullres 0 --no_such_flag",
        "nnUNetv2_predict -i IN -o OUT -d 501 -c 3d_fullres --mising t1c | cat",
    ):
        (command, *arguments), *_ = commands_in(text)
        with pytest.raises((SystemExit, KeyError, AssertionError, HeteroError)):
            check_our_command(arguments) if command == "nnunet_hetero" else check_nnunet_command(command, arguments)


def test_inline_commands_exist():
    for page in PAGES:
        for name in re.findall(r"`nnunet_hetero ([a-z-]+)[^`]*`", page.read_text(encoding="utf-8")):
            assert name in COMMANDS, f"{name_of(page)}: there is no command 'nnunet_hetero {name}'"


# -- settings and files -----------------------------------------------------------------------------------------------


def test_settings_table_is_complete_with_defaults_and_what_values_may_be():
    text = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `(\w+)` \| `([^`]+)` \| (.+?) \| (.+?) \|", text, re.MULTILINE)
    config = HeteroModalConfig()
    written = [(entry.name, json.dumps(getattr(config, entry.name)), rule_of(entry).expected) for entry in fields()]
    assert [(name, default, may_be) for name, default, may_be, _ in documented] == written


def test_settings_have_a_line_where_they_are_defined():
    described = re.findall(r"^        (\w+): ", HeteroModalConfig.__doc__, re.MULTILINE)
    assert described == [entry.name for entry in fields()]


def fields():
    return dataclasses.fields(HeteroModalConfig)


def settings_in(content) -> list[dict]:
    """Whatever stands under `hetero_modal`, at any depth."""
    if not isinstance(content, dict):
        return []
    below = [found for key, value in content.items() if key != KEY for found in settings_in(value)]
    return [*below, content[KEY]] if KEY in content else below


@every_page
def test_json_is_valid_and_its_settings_are_possible(page):
    for block in code_blocks(page, "json"):
        for settings in settings_in(json.loads(block)):
            config = HeteroModalConfig.from_dict(settings)
            read_draw(config, Modalities(("T1", "T1c", "T2", "FLAIR")))


def test_files_for_batch_systems_are_possible(tmp_path):
    file = tmp_path / "cluster.yaml"
    found = []
    for block in code_blocks(ROOT / "docs/how-to/predict-thousands-of-cases.md", "yaml"):
        file.write_text(block, encoding="utf-8")
        found.append(read_resources(file).scheduler)
    assert found == ["slurm", "lsf", "pbs"]


def test_columns_and_bars_are_documented():
    files = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    section = files.split("* `metrics.csv`")[1].split("* `completion.csv`")[0]
    listed = [
        column
        for cell in re.findall(r"^  \| (`.*?) \|", section, re.MULTILINE)
        for column in re.findall(r"`(\w+)`", cell)
    ]
    columns = MetricOptions.of(["all"]).columns
    assert listed == ["case", "subset", "n_modalities", "region", *columns]
    page = (ROOT / "docs/how-to/evaluate-all-subsets.md").read_text(encoding="utf-8")
    assert all(f"`{column}`" in page for column in columns if column not in ("sensitivity", "precision"))
    demo = (ROOT / "docs/how-to/run-the-demo.md").read_text(encoding="utf-8")
    for bar in BARS.values():
        assert " / ".join(f"{value:.2f}" for value in bar) in demo


def test_demo_flags_and_defaults_are_documented():
    text = (ROOT / "docs/how-to/run-the-demo.md").read_text(encoding="utf-8")
    documented = {flag: default.strip("` ") for flag, default in re.findall(r"^\| `(--\w+)` \|([^|]*)\|", text, re.M)}
    parser = argparse.ArgumentParser(add_help=False)
    importlib.import_module("nnunet_hetero.cli.setup.demo").add_arguments(parser)
    defaults = {
        action.option_strings[0]: "" if action.default is False else str(action.default) for action in parser._actions
    }
    assert documented == defaults


# -- links ------------------------------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, by GitHub's rule."""
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@every_page
def test_links_and_pictures_resolve(page):
    text = FENCE.sub("", page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{name_of(page)} refers to {target}, which is not there"
        assert not anchor or anchor in anchors(file), f"{name_of(page)}: {target} names no heading"


def test_index_lists_every_page():
    index = ROOT / "docs/README.md"
    linked = {(index.parent / target).resolve() for target in re.findall(r"\]\(([^)#]+)\)", index.read_text("utf-8"))}
    assert linked == {page for page in PAGES if page.is_relative_to(ROOT / "docs")} - {index}


# -- Python -----------------------------------------------------------------------------------------------------------


def test_python_examples_run(nnunet_folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for name in ("IN", "datasets"):
        (tmp_path / name).mkdir()
    for file in nnunet_folders.images.glob("case_00_*"):
        (tmp_path / "IN" / file.name).symlink_to(file)
    (tmp_path / "MODEL").symlink_to(nnunet_folders.folder)
    (tmp_path / "LABELS").symlink_to(nnunet_folders.labels)
    monkeypatch.setenv("nnUNet_raw", str(tmp_path / "datasets"))

    page = ROOT / "docs/how-to/use-from-python.md"
    namespace: dict = {}
    for number, block in enumerate(code_blocks(page, "python")):
        exec(compile(block, f"{page.name}, block {number}", "exec"), namespace)
    printed = capsys.readouterr().out
    assert "T1+T2+FLAIR (absent: T1c)" in printed and "T1+FLAIR (absent: T1c, T2)" in printed
    assert "['BraTS20_Phantom_001', 'BraTS20_Phantom_002'] {} {}" in printed
    assert (tmp_path / "EVALUATION" / "table.md").is_file()
