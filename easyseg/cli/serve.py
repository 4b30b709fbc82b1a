"""`easyseg serve`."""

from __future__ import annotations

import dataclasses
import importlib.util
import logging
import socket
from pathlib import Path
from typing import Any

import click

from easyseg.cli import command
from easyseg.cli.options import A_PATH, INTEGER, NUMBER, QUIET, echo, several_models_options
from easyseg.errors import InputError
from easyseg.serve.limits import LOOPBACK_HOSTS, ServeLimits, is_loopback, read_keys
from easyseg.serve.names import named_models
from easyseg.utils.validation import is_count
from easyseg.weights.bundle import MINI

log = logging.getLogger(__name__)

DEFAULTS = {field.name: field.default for field in dataclasses.fields(ServeLimits)}


def _words(_: click.Context, __: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (value or "").split(",") if word.strip())


def _limit(name: str, kind: Any, text: str, **more: Any) -> Any:
    flag = f"--{name.replace('_', '-')}"
    return click.option(
        flag, type=kind, default=DEFAULTS[name], show_default=True, help=text, **more
    )


@command()
@click.option(
    "-m",
    "--model",
    multiple=True,
    help="Model as for `easyseg segment`, or NAME=MODEL to give it a name; again for more, the "
    "first is the default.  [default: mini]",
)
@several_models_options
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port",
    type=INTEGER,
    default=8000,
    show_default=True,
    help="Port to listen at; 0 for a free one.",
)
@click.option(
    "--key-file",
    type=A_PATH,
    help="File with a secret on each line, one of which requests must carry.",
)
@click.option("--insecure", is_flag=True, help="Serve other machines without a key.")
@click.option(
    "--workers", type=INTEGER, default=1, show_default=True, help="Processes, each with its models."
)
@click.option(
    "--batch",
    type=INTEGER,
    help="Images that go through the network together.  "
    "[default: as measured by `easyseg optimize`, else 1]",
)
@_limit("wait_ms", NUMBER, "How long an incomplete batch waits for more images.")
@_limit("queue", INTEGER, "Requests that may wait; more are answered with 503.")
@_limit("timeout", NUMBER, "Seconds until a request is answered with 504.")
@_limit("max_mb", INTEGER, "Largest body of a request.")
@_limit("max_megapixels", NUMBER, "Largest image.")
@click.option(
    "--allow-urls",
    callback=_words,
    metavar="HOST,...",
    help="Fetch images from these hosts, by https; * for any public one.  [default: none]",
)
@click.option(
    "--allow-hosts",
    callback=_words,
    metavar="HOST,...",
    help="Further host names of the server, as behind a proxy.",
)
@click.option(
    "--cors", callback=_words, metavar="ORIGIN,...", help="Let pages of these origins call the API."
)
@click.option("--page/--no-page", default=True, help="Serve the page at /.")
@click.option(
    "--label-studio",
    is_flag=False,
    flag_value="http://localhost:8080",
    metavar="[URL]",
    help="Be the ML backend of the Label Studio at this address, http://localhost:8080 if none is "
    "given.",
)
@click.option("--docs/--no-docs", default=True, help="Serve /docs and /openapi.json.")
@QUIET
def serve(
    model: tuple[str, ...],
    model_options: dict[str, Any],
    host: str,
    port: int,
    key_file: Path | None,
    insecure: bool,
    workers: int,
    quiet: bool,
    **limits: Any,
) -> None:
    """Serve models over HTTP: a page for people and a web API for programs (docs/serving.md).

    On SIGTERM or Ctrl-C, running requests are finished first.
    """
    if importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("uvicorn") is None:
        raise InputError("the server is not installed: pip install 'easyseg[serve]'")
    if not is_count(workers):
        raise InputError(f"workers={workers} must be a whole number from 1.")
    if not 0 <= port <= 65535:
        raise InputError(f"port={port} must be from 0 (a free one) to 65535.")
    models = named_models(model or (MINI,))
    keys = () if key_file is None else read_keys(key_file)
    if not (is_loopback(host) or keys or insecure):
        raise InputError(
            f"host={host!r} is open to other machines. Give --key-file FILE, whose secret requests "
            "must carry, or --insecure."
        )
    limits["allow_hosts"] = _allowed_hosts(host, limits["allow_hosts"], secured=bool(keys))
    checked = ServeLimits(**limits, keys=keys)
    from easyseg.serve.server import Plan, bind  # noqa: PLC0415  (loads the server)
    from easyseg.serve.server import serve as run  # noqa: PLC0415

    listener = bind(host, port)
    address = f"[{host}]" if ":" in host else host
    line = f"{', '.join(models)} at http://{address}:{listener.getsockname()[1]}"
    options = {**model_options, "max_pixels": checked.max_pixels}
    run(Plan(models, options, checked, quiet), listener, workers, on_ready=lambda: echo(line))


def _allowed_hosts(host: str, names: tuple[str, ...], *, secured: bool) -> tuple[str, ...]:
    """The names in Host: against pages that reach the server by a name of theirs.

    Where a key is needed such pages gain nothing, so that any name will do.
    """
    if names:
        return (*LOOPBACK_HOSTS, *names)
    if is_loopback(host):
        return (*LOOPBACK_HOSTS, host.strip("[]"))
    return ("*",) if secured else (*LOOPBACK_HOSTS, host.strip("[]"), socket.gethostname())
