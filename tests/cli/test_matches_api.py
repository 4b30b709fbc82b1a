"""What the command line takes is what Python takes: the same words with the same defaults."""

import dataclasses
import importlib
import inspect
import typing

import click
import pytest

from easyseg import SemanticSegmentation, TrainConfig, compare, open_dataset
from easyseg.cli import COMMANDS, flag_of
from easyseg.datasets.check.check import check_dataset
from easyseg.distributed import evaluate, segment
from easyseg.inference.background import BackgroundOptions, edit_background
from easyseg.serve.limits import ServeLimits

SEG = SemanticSegmentation

CALLS = {  # command: what it stands for
    "segment": [SEG.segment_scene, segment, SEG, SEG.segment_folder],
    "background": [
        SEG, SEG.change_background, SEG.blur_background, SEG.color_background, SEG.cutout
    ],
    "video": [SEG, SEG.segment_video],
    "evaluate": [evaluate, SEG, SEG.evaluate],
    "compare": [SEG, compare],
    "train": [SEG, SEG.fine_tune],
    "optimize": [SEG, SEG.optimize],
    "export": [SEG, SEG.export],
    "check": [open_dataset, check_dataset],
    "serve": [SEG, ServeLimits],
}  # fmt: skip

ONLY_COMMAND_LINE = {  # (command, option): why Python has no such argument
    ("evaluate", "json"): "scores.to_dict() in Python",
    ("evaluate", "csv"): "scores.rows() in Python",
    **{("train", name): "TF_CONFIG in Python" for name in ("workers", "rank")},
    ("train", "set"): "fields of ModelConfig are keyword arguments in Python",
    ("optimize", "benchmark"): "benchmark() is a method of its own",
    ("check", "sheet"): "draw_sheet() in Python",
    ("check", "max_pixels"): "open_dataset(max_pixels=...) in Python",
    **{
        ("serve", name): "of the process, not of the application"
        for name in ("host", "port", "insecure", "workers", "key_file")
    },
    ("export", "check_images"): "check=IMAGES in Python",
    ("export", "list"): "easyseg.export.options.FORMATS in Python",
}
ONLY_PYTHON = {  # (command, argument): why the command line has no such option
    ("train", "callbacks"): "Keras objects",
    **{("train", name): "not used while training" for name in (
        "output_stride", "colors", "tile", "scales", "flip", "runtime", "device"
    )},
    ("compare", "models"): "model, which is given several times",
    ("compare", "data"): "DATA",
    ("serve", "max_pixels"): "follows from max_megapixels",
    ("serve", "keys"): "key_file",
    **{("export", name): "chosen when the file is opened" for name in (
        "tile", "scales", "flip", "batch_size", "runtime", "device"
    )},
    **{(command, name): "of files that are not trained or exported" for name in (
        "class_names", "input_size", "mean", "std"
    ) for command in ("train", "export")},
}  # fmt: skip
OTHER_DEFAULT = {  # (command, option): why the defaults differ
    ("serve", "allow_hosts"): "the names of the host that is listened at are added",
    ("background", "strength"): "so that it can be refused for other effects",
    ("train", "resume"): "the directory of the run, which Python passes to resume()",
}
DECLARED_ELSEWHERE = {"progress": "quiet"}  # the same with the opposite meaning


def options_of(name):
    command = getattr(importlib.import_module(COMMANDS[name][0]), name)
    context = click.Context(command)
    return {
        flag_of(option).lstrip("-").replace("-", "_"): option.get_default(context)
        for option in command.params
        if isinstance(option, click.Option)
    }


def arguments_of(name):
    """All keyword arguments of the calls, with their defaults."""
    arguments = {}
    for call in CALLS[name]:
        for parameter in list(inspect.signature(call).parameters.values()):
            empty = parameter.default is inspect.Parameter.empty
            if parameter.kind is parameter.VAR_KEYWORD:
                arguments |= more_arguments(call)
            elif parameter.name != "self":
                arguments[parameter.name] = None if empty else parameter.default
    return arguments


def more_arguments(call):
    if call in (segment, evaluate):  # those of SemanticSegmentation
        return {}
    if call is SEG.fine_tune:
        return {field.name: field.default for field in dataclasses.fields(TrainConfig)}
    defaults = inspect.signature(edit_background).parameters
    return {name: defaults[name].default for name in typing.get_type_hints(BackgroundOptions)}


def positionals_of(name):
    """The first arguments of the calls, which a command takes without a flag."""
    taken = set()
    for call in CALLS[name]:
        first = next(p for p in inspect.signature(call).parameters if p != "self")
        taken.add(first)
    return taken - {"model"}


def plain(value):
    """None, an empty tuple and click's own mark for "no default" mean the same."""
    if value in ((), [], False) or "UNSET" in repr(value):
        return None
    return tuple(value) if isinstance(value, list) else value


@pytest.mark.parametrize("name", CALLS)
def test_options_are_arguments(name):
    arguments = arguments_of(name)
    for option, default in options_of(name).items():
        if option == "quiet" or (name, option) in ONLY_COMMAND_LINE:
            continue
        assert option in arguments, f"--{option} of {name} has no argument of this name"
        if (name, option) not in OTHER_DEFAULT and name != "train":
            assert plain(default) == plain(arguments[option]), f"defaults of {option} differ"


@pytest.mark.parametrize("name", CALLS)
def test_arguments_are_options(name):
    options = options_of(name)
    for argument in arguments_of(name):
        option = DECLARED_ELSEWHERE.get(argument, argument)
        if option in options or argument in positionals_of(name):
            continue
        assert (name, argument) in ONLY_PYTHON, f"{name} has no --{argument}"


def test_the_tables_hold_nothing_old():
    for name, option in [*ONLY_COMMAND_LINE, *OTHER_DEFAULT]:
        assert option in options_of(name)
    for name, argument in ONLY_PYTHON:
        assert argument in arguments_of(name)
        assert argument not in options_of(name)


def test_all_commands_that_run_a_model_have_the_same_options():
    inference = set(inspect.signature(SEG).parameters) - {"progress"}
    for name in ("segment", "background", "video", "evaluate", "optimize"):
        assert inference <= set(options_of(name))
