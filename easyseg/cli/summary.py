"""What a command prints of a run over many images."""

from __future__ import annotations

import contextlib
import shlex
from collections.abc import Iterable, Iterator

import click
from tqdm.contrib.logging import logging_redirect_tqdm

from easyseg.cli import TYPED, one_line, with_flags
from easyseg.cli.options import echo
from easyseg.inference.folder import FolderSummary

SHOWN = 5  # names of images with nothing to keep


@contextlib.contextmanager
def folder_run() -> Iterator[None]:
    """Warnings are lines of their own, above the bar; Ctrl-C names the command that resumes."""
    typed = click.get_current_context().meta[TYPED]
    with logging_redirect_tqdm():
        try:
            yield
        except KeyboardInterrupt:
            words = typed if "--resume" in typed else [*typed, "--resume"]
            raise click.Abort(f"To resume: {shlex.join(words)}") from None


def report_folder(summary: FolderSummary) -> int:
    """Prints the summary and what failed; returns the exit code, 2 if an image failed."""
    if summary.done or summary.skipped or not summary.failed:
        echo(summary)
    if summary.empty:
        more = f" and {len(summary.empty) - SHOWN} more" if len(summary.empty) > SHOWN else ""
        echo(f"nothing to keep in {', '.join(summary.empty[:SHOWN])}{more}")
    return report_failed(summary.failed)


def report_failed(failed: Iterable[tuple[str, str]]) -> int:
    """Prints the message of each image that failed; returns the exit code, 2 if there are any."""
    code = 0
    for _, message in failed:
        text = with_flags(message, click.get_current_context().command)
        click.echo(f"easyseg: {one_line(text)}", err=True)
        code = 2
    return code
