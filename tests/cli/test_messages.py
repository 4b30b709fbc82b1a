"""How the command line reads its options, and how it words the library's messages."""

import importlib

import click
import pytest

from easyseg.cli import COMMANDS, cli, flag_of, with_flags
from easyseg.errors import InputError


def command_of(name):
    return getattr(importlib.import_module(COMMANDS[name][0]), name)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("tile=7 must be a whole number.", "--tile 7 must be a whole number."),
        ("scales=(0.5, 9.0) must be", "--scales 0.5,9.0 must be"),
        ("scales=(9.0,) must be", "--scales 9.0 must be"),
        ("runtime='litert' has no precision", "--runtime litert has no precision"),
        ("choose runtime='auto', or kind=\"color\".", "choose --runtime auto, or --kind color."),
        ("classes=['dog', 'cat'] are unknown", "--classes dog,cat are unknown"),
        ("keep classes=['dog', 'potted plant'].", "keep --classes 'dog,potted plant'."),
        ("legend=True cannot", "--legend cannot"),
        ("flip=True", "--flip"),
        ("give architecture=, such as x", "give --architecture, such as x"),
        ("batch_size=0", "--batch-size 0"),
        ("use out=.", "use --out."),
        ("decoder='none' has", "decoder='none' has"),
        ("a file my-tile=7.png", "a file my-tile=7.png"),
        ("textile=7", "textile=7"),
    ],
)
def test_arguments_become_flags(message, expected):
    assert with_flags(message, command_of("segment")) == expected


def test_arguments_without_a_flag_are_named_as_in_the_usage():
    assert with_flags("data='x' is unknown", command_of("evaluate")) == "DATA x is unknown"


VALUES = [
    (name, option)
    for name in COMMANDS
    for option in command_of(name).params
    if isinstance(option, click.Option)
    and not option.multiple
    and not (option.is_flag and not option.secondary_opts)
]


@pytest.mark.parametrize(("name", "option"), VALUES, ids=lambda v: getattr(v, "name", v))
def test_an_option_of_one_value_is_not_given_twice(name, option):
    flag = flag_of(option)
    value = [] if option.is_flag else ["a"]
    with pytest.raises(click.UsageError, match=f"{flag} takes one value; give it once"):
        cli.main([name, flag, *value, flag, *value, "source"], standalone_mode=False)


def test_short_and_long_are_the_same_option():
    with pytest.raises(click.UsageError, match="--model takes one value"):
        cli.main(["segment", "a.jpg", "-m", "a", "--model", "b"], standalone_mode=False)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["segment", "a.jpg", "--scales", "0.5,,1"], "'0.5,,1' must be numbers with commas"),
        (["segment", "a.jpg", "--scales", ""], "'' must be numbers with commas"),
        (["segment", "a.jpg", "--classes", "dog,"], "'dog,' must be names or ids with commas"),
        (["segment", "a.jpg", "--classes", ""], "'' must be names or ids with commas"),
        (["check", "data", "--ignore", ",7"], "',7' must be names or ids with commas"),
        (["info", "mini", "--size", "360x36o"], "'360x36o' must be a size"),
        (["info", "mini", "--size", "360,360"], "'360,360' must be a size"),
        (["info", "mini", "--size", "0"], "'0' must be a size"),
        (["train", "data", "--crop", "360x36o"], "'360x36o' must be a size"),
        (["train", "data", "--crop", "360,360"], "'360,360' must be a size"),
        (["train", "data", "--crop", "abc"], "'abc' must be a size"),
        (["train", "data", "--class-weights", "1,x"], "expected auto, or a number for each class"),
        (["evaluate", "data", "--class-map", "human"], "expected CLASS=MODEL_CLASS"),
        (["evaluate", "data", "--class-map", "=person"], "expected CLASS=MODEL_CLASS"),
        (
            ["evaluate", "data", "--class-map", "a=b", "--class-map", "a=c"],
            "class 'a' is given twice",
        ),
    ],
    ids=" ".join,
)
def test_values_are_read_strictly(args, message):
    with pytest.raises((click.ClickException, InputError)) as caught:
        cli.main(args, standalone_mode=False)
    error = caught.value
    assert message in (error.format_message() if hasattr(error, "format_message") else str(error))


def test_a_class_map_is_written_as_it_is_typed():
    from easyseg.cli import cli, with_flags

    command = cli.get_command(None, "evaluate")
    text = with_flags("class_map={'street sign': 'car'} or class_map={'pole': None}.", command)
    assert text == "--class-map 'street sign=car' or --class-map pole=."


def test_a_field_that_is_set_twice_is_refused(tmp_path, capsys):
    from easyseg.cli import main

    with pytest.raises(SystemExit):
        main(["train", str(tmp_path), "--set", "decoder=none", "--set", "decoder=lraspp"])
    assert "decoder is set twice; set it once." in capsys.readouterr().err
