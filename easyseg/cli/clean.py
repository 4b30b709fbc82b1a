"""`easyseg clean`: removes what killed runs left incomplete."""

from __future__ import annotations

import os
from pathlib import Path

import click

from easyseg.cli import command
from easyseg.cli.options import QUIET, echo
from easyseg.errors import InputError
from easyseg.io.atomic import find_leftovers, remove


@command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--any-host",
    is_flag=True,
    help="Also those of other computers and containers, once nothing runs there.",
)
@click.option("--dry-run", is_flag=True, help="Only list them.")
@QUIET
def clean(
    folders: tuple[Path, ...],
    any_host: bool,
    dry_run: bool,
    quiet: bool,  # noqa: ARG001  (`echo` reads it)
) -> None:
    """Remove incomplete files that killed runs left in FOLDERS and below.

    Their names start with a dot and end with .part; those of running processes, and of other
    computers that share the folder, stay (but see --any-host). Every run removes them where it
    writes. Without FOLDERS the working directory is cleaned.
    """
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise InputError(f"Expected folders, got {', '.join(missing)}. Give folders that exist.")
    count = 0
    for root in folders or (Path(),):
        for folder, _, _ in os.walk(root):
            for path in find_leftovers(Path(folder), any_host=any_host):
                echo(str(path))
                count += 1
                if not dry_run:
                    remove(path)
    echo(f"{count} {'found' if dry_run else 'removed'}.")
