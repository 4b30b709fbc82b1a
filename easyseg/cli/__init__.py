"""The command line. Each command's module is loaded when the command is called."""

from __future__ import annotations

import ast
import atexit
import contextlib
import functools
import importlib
import logging
import os
import re
import shlex
import sys
from typing import Any, NoReturn

import click
from click.core import ParameterSource

import easyseg
from easyseg.cli._signals import STOPPED, stops
from easyseg.cli._startup import prepare_process, printing_error
from easyseg.errors import EasysegError, os_reason, printable
from easyseg.utils.registry import unknown_name

__all__ = [
    "TYPED",
    "cli",
    "command",
    "flag_of",
    "is_given",
    "is_quiet",
    "main",
    "one_line",
    "with_flags",
]

# name: (module, short help)
COMMANDS = {
    "demo": ("easyseg.cli.demo", "Segment two sample images with the embedded models."),
    "segment": ("easyseg.cli.segment", "Segment images, folders or patterns."),
    "background": ("easyseg.cli.background", "Change, blur, color or remove the background."),
    "video": ("easyseg.cli.video", "Segment a video, a stream or a camera."),
    "evaluate": ("easyseg.cli.evaluate", "Measure a model on a data set."),
    "merge": ("easyseg.cli.merge", "Join what the shards of a run wrote."),
    "compare": ("easyseg.cli.compare", "Compare models on a data set."),
    "train": ("easyseg.cli.train", "Fine-tune a model on your own images."),
    "launch": ("easyseg.cli.launch", "Train with several processes of this machine."),
    "models": ("easyseg.cli.models", "List the models and what is in the cache."),
    "download": ("easyseg.cli.models", "Download a model's weights, or import a file."),
    "optimize": ("easyseg.cli.optimize", "Find the fastest runtime for a model, once."),
    "serve": ("easyseg.cli.serve", "Serve models over HTTP: a page and a web API."),
    "mcp": ("easyseg.cli.mcp", "Serve a model to MCP clients over stdin and stdout."),
    "export": ("easyseg.cli.export", "Write a model as one file that runs elsewhere."),
    "push": ("easyseg.cli.push", "Upload a model to the Hugging Face Hub."),
    "check": ("easyseg.cli.check", "Check a data set before training."),
    "clean": ("easyseg.cli.clean", "Remove incomplete files that killed runs left."),
    "info": ("easyseg.cli.models", "Describe a model."),
}

TYPED = "easyseg.cli.typed"


class _Command(click.Command):
    """A command that refuses options given twice and translates the library's messages.

    `context.meta[TYPED]` are the words of the command line.
    """

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        context.meta[TYPED] = ["easyseg", str(context.info_name), *args]
        *_, order = self.make_parser(context).parse_args(args=list(args))
        for option in {id(parameter): parameter for parameter in order}.values():
            if not isinstance(option, click.Option) or option.multiple:
                continue
            is_switch = option.is_flag and not option.secondary_opts
            if not is_switch and order.count(option) > 1:
                raise click.UsageError(f"{flag_of(option)} takes one value; give it once.")
        return super().parse_args(context, args)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except EasysegError as error:
            if context.parent is None:  # called by a program, not by `main`
                raise
            raise click.ClickException(with_flags(str(error), self)) from error


command = functools.partial(click.command, cls=_Command)
"""Decorator of each command."""


class _Lazy(click.Group):
    def list_commands(self, _: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            raise unknown_name("command", name, COMMANDS)
        command: click.Command = getattr(importlib.import_module(COMMANDS[name][0]), name)
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.command(
    cls=_Lazy,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(easyseg.__version__, prog_name="easyseg")
@click.pass_context
def cli(context: click.Context) -> None:
    """Semantic segmentation with DeepLabV3+.

    \b
    easyseg models
    easyseg segment street.jpg -o street.png --model xception65.ade20k
    """  # noqa: D301  (\b is click's mark for lines to keep)
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


def main(args: list[str] | None = None) -> NoReturn:
    """Runs the command line; an error is one line and exit code 2.

    After Ctrl-C the exit code is 130; `click.Abort` says how to resume, if that is possible.
    """
    prepare_process()
    handler = logging.StreamHandler()
    handler.setFormatter(_Formatter("easyseg: %(message)s"))
    handler.addFilter(lambda record: record.levelno >= logging.ERROR or not is_quiet())
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # it logs tracebacks of odd headers
    with stops(is_program=args is None) as signals:
        try:
            code = _run(args, signals)
        except KeyboardInterrupt:  # a second one, while the first was reported
            code = STOPPED
    eval("0")  # noqa: S307  (else an exception in Python's own eval is the exit code)
    if args is None:
        _end(code)
    sys.exit(code)


def _end(code: int) -> NoReturn:
    """Ends the process without Python's own end.

    That takes up to a second after TensorFlow, in which signals are no longer handled, and crashes
    where a thread returns from foreign code meanwhile.
    """
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def _run(args: list[str] | None, signals: list[float]) -> int:
    """Runs a command and says what went wrong; returns the exit code."""
    try:
        code = cli.main(args, prog_name="easyseg", standalone_mode=False) or 0
    except click.Abort as stop:
        return _stop(" ".join(["stopped.", *map(str, stop.args)]), STOPPED)
    except Exception as error:  # noqa: BLE001  (`_reason` raises the rest)
        if signals:  # a library made an error of the interruption
            return _stop("stopped.", STOPPED)
        return _stop(_reason(error), 2)
    if lost := printing_error():
        reason = os_reason(lost)
        return _stop(f"Cannot print: {reason}. Free disk space, or print elsewhere.", code or 2)
    return int(code)


def _reason(error: Exception) -> str:
    """What a user can do something about; raises all else."""
    if isinstance(error, EasysegError):
        return str(error)
    if isinstance(error, click.ClickException):
        return _explain(error)
    if isinstance(error, OSError):
        name = printable(error.filename or "the system")
        return f"Cannot use {name}: {os_reason(error)}. Check its permissions."
    raise error


def _stop(message: object, code: int) -> int:
    click.echo(f"easyseg: {one_line(message)}", err=True)
    return code


def _explain(error: click.ClickException) -> str:
    """The message, with how the command is written where the error is not about a value."""
    message = error.format_message()
    is_value = isinstance(error, click.BadParameter) and not isinstance(
        error, click.MissingParameter
    )
    if not isinstance(error, click.UsageError) or is_value or error.ctx is None:
        return message
    end = "" if message.endswith("?") else "."
    return f"{message.rstrip('.')}{end} {error.ctx.get_usage()}"


class _Formatter(logging.Formatter):
    """Log messages of the library with the running command's flags."""

    def format(self, record: logging.LogRecord) -> str:
        context = click.get_current_context(silent=True)
        text = printable(super().format(record))
        return with_flags(text, context.command) if context else text


def is_quiet() -> bool:
    """Whether the running command was called with --quiet."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.params.get("quiet"))


def is_given(name: str) -> bool:
    """Whether the parameter of the running command was given, rather than left to its default."""
    source = click.get_current_context().get_parameter_source(name)
    return source is ParameterSource.COMMANDLINE


def one_line(message: object) -> str:
    """The message, or the error's, without line breaks and control characters."""
    return " ".join(printable(message).split())


METHODS = {  # method that a message advises: command that stands for it
    "segment_image": "segment",
    "segment_folder": "segment",
    "segment_scene": "segment",
    "segment_video": "video",
    "blur_background": "background",
    "fine_tune": "train",
    "optimize": "optimize",
    "check_dataset": "check",
}
_VALUE = r"""'[^']*'|"[^"]*"|\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\}|[\w.+-]*\w"""


def with_flags(message: str, command: click.Command) -> str:
    """The message in words of the command line: `--tile 7` for `tile=7`, if the command has it."""
    options = {}
    for option in command.params:
        named = isinstance(option, click.Option)
        options[flag_of(option).lstrip("-").replace("-", "_") if named else option.name] = option

    def translate(match: re.Match[str]) -> str:
        option, value = options[match[1]], match[2] or ""
        is_flag = isinstance(option, click.Option) and option.is_flag
        return (
            flag_of(option)
            if is_flag or not value
            else f"{flag_of(option)} {_plain(value, match[1])}"
        )

    message = message.replace(", or None", "")  # an option is left out
    methods = "|".join(METHODS)
    message = re.sub(rf"\b({methods})\(\w*\)", lambda m: f"`easyseg {METHODS[m[1]]}`", message)
    names = "|".join(map(re.escape, options))
    return re.sub(rf"(?<![\w-])({names})=({_VALUE})?", translate, message) if names else message


def flag_of(parameter: click.Parameter) -> str:
    """How the parameter is written: `--tile`, or `DATA` for an argument."""
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    return (parameter.name or "").upper()


def _plain(value: str, name: str) -> str:
    """A Python value as it is typed: `('a', 2)` is `a,2`, and `{'pole': None}` is `pole=`."""
    if value[0] == "{":
        pairs = ast.literal_eval(value).items()
        if name == "loss":
            return "+".join(f"{term}:{weight:g}" for term, weight in pairs)
        return shlex.join(f"{key}={'' if other is None else other}" for key, other in pairs)
    if value[0] in "([":
        items = [item.strip().strip("'\"") for item in value[1:-1].split(",")]
        typed = ("x" if name in ("crop", "size") else ",").join(item for item in items if item)
        return shlex.quote(typed)
    return value.strip("'\"")
