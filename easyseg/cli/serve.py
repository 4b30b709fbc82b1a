"""`easyseg serve`."""

from __future__ import annotations

import click

from easyseg.api import SemanticSegmentation
from easyseg.cli import command
from easyseg.cli.options import INTEGER, QUIET, echo

__all__ = ["serve"]


@command()
@click.option("-m", "--model", multiple=True, help="Model, as for `segment`; several by repeating.")
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", type=INTEGER, default=8000, show_default=True)
@QUIET
def serve(model: tuple[str, ...], host: str, port: int, quiet: bool) -> None:  # noqa: ARG001  (`echo` reads it)
    """Serve models over HTTP."""
    from easyseg.serve.app import create_app  # noqa: PLC0415
    from easyseg.serve.limits import ServeLimits  # noqa: PLC0415
    from easyseg.serve.models import named_models  # noqa: PLC0415
    from easyseg.serve.server import bind, run  # noqa: PLC0415

    listener = bind(host, port)
    models = {
        name: SemanticSegmentation(source)
        for name, source in named_models(list(model) or ["mini"]).items()
    }
    echo(f"http://{host}:{listener.getsockname()[1]}")
    run(create_app(models, ServeLimits()), listener)
