"""What a command prints of a run over many images."""

from __future__ import annotations

import click

from easyseg.cli import one_line
from easyseg.cli.options import echo
from easyseg.inference.folder import FolderSummary

__all__ = ["report_folder"]

SHOWN = 5  # images in which nothing was found


def report_folder(summary: FolderSummary) -> int:
    """Prints the summary and what failed; returns the exit code, 2 if an image failed."""
    if summary.done or summary.skipped:
        echo(summary)
    if summary.empty:
        more = f" and {len(summary.empty) - SHOWN} more" if len(summary.empty) > SHOWN else ""
        echo(f"nothing to keep in {', '.join(summary.empty[:SHOWN])}{more}")
    for _, message in summary.failed:
        click.echo(f"easyseg: {one_line(message)}", err=True)
    return 2 if summary.failed else 0
