"""`easyseg push`: uploads a model to the Hugging Face Hub."""

from __future__ import annotations

import click

from easyseg.cli import command
from easyseg.cli.options import QUIET, Choice, ChosenModel, echo, network_options
from easyseg.weights.bundle import DTYPES


@command()
@click.argument("repository", metavar="USER/REPO")
@network_options
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option(
    "--message", default="Upload a model of easyseg", show_default=True, help="Of the commit."
)
@click.option(
    "--dtype",
    type=Choice(list(DTYPES)),
    default=DTYPES[0],
    show_default=True,
    help="float16 halves the upload.",
)
@QUIET
def push(
    repository: str,
    model: ChosenModel,
    private: bool,
    message: str,
    dtype: str,
    quiet: bool,  # noqa: ARG001  (`echo` reads it)
) -> None:
    """Upload a model to the Hugging Face Hub, where it opens as hf://USER/REPO.

    The account is that of $HF_TOKEN, or the one that `hf auth login` logged in.
    """
    echo(model.open().push_to_hub(repository, private=private, message=message, dtype=dtype))
