"""Reference pages that are made from the code itself whenever the site is built.

The command line from click, the web API from its OpenAPI document, the options of training, the
formats from their registries, the benchmarks from benchmarks/results/*.csv.
"""

from __future__ import annotations

import ast
import csv
import dataclasses
import importlib
import inspect
import itertools
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import matplotlib as mpl
from matplotlib import pyplot as plt

from easyseg import SemanticSegmentation, TrainConfig
from easyseg.cli import COMMANDS, cli
from easyseg.datasets import DATASETS
from easyseg.export.options import FORMATS
from easyseg.results.outputs import OUTPUTS
from easyseg.serve import create_app

mpl.use("agg")
ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "benchmarks/results"
MEASURED = ("ms", "images", "megapixels", "tiles", "frames", "crop", "miou")  # columns of numbers

WEB_API = """# Web API

The routes of `easyseg serve`, which also serves this list at `/docs` and as `/openapi.json`.
How to call them: [serving](../../serving.md).
"""
TRAINING = """# Options of training

Arguments of `fine_tune`, and options of `easyseg train` under the same names with `--` and hyphens.
What to choose: [losses, augmentation, schedules](../../training-choices.md).

"""
FORMATS_PAGE = """# Formats

## Results

Values of `kind=`; [outputs](../../outputs.md) describes each.

{outputs}
## Data sets

In the order in which they are tried; [data sets](../../datasets.md) says how each is detected.

{data}
## Exported models

[Export](../../export.md) compares them.

{exported}"""
BENCHMARKS = """# Benchmarks

Measured by the scripts of the same names in `benchmarks/`. Each compares two things in one run: a
ratio below 1 is faster than the other. [Speed](../../performance.md) says what follows.
"""


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """A Markdown table."""
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    cells = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def command_line() -> str:
    """All commands with all their options."""
    context = click.Context(cli, info_name="easyseg")
    parts = ["# Command line\n\n`easyseg COMMAND --help` prints the same.\n"]
    for name in COMMANDS:
        command = cli.get_command(context, name)
        inner = click.Context(command, info_name=name, parent=context)
        usage = " ".join(command.collect_usage_pieces(inner))
        parts.append(f"## {name}\n\n```text\neasyseg {name} {usage}\n```\n")
        parts.append(help_text(command.help or "") + "\n")
        records = [option.get_help_record(inner) for option in command.get_params(inner)]
        rows = [(f"`{flags}`", literal(text)) for flags, text in filter(None, records)]
        parts.append(table(("Option", "What it does"), rows))
    return "\n".join(parts)


def help_text(text: str) -> str:
    """The help of a command; paragraphs after a form feed are examples, kept line by line."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    lines = [
        "```text\n" + p.replace("\b\n", "") + "\n```" if p.startswith("\b") else literal(p)
        for p in paragraphs
    ]
    return "\n\n".join(lines)


def literal(text: str) -> str:
    """Text in which brackets, stars and angles mean nothing."""
    special = r"([<>])" if "`" in text else r"([\[\]*<>_])"
    return re.sub(special, r"\\\1", text)


def rest() -> str:
    """The routes of the server, from the document that it serves at /openapi.json."""
    document = create_app(SemanticSegmentation("mini")).openapi()
    parts = [WEB_API]
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            parts.append(f"## {method.upper()} {path}\n")
            text = route.get("description") or route.get("summary", "")
            parts.append(literal(text) + "\n")
            parameters = [described(p, p["schema"]) for p in route.get("parameters", [])]
            if parameters:
                parts.append(table(("Parameter", "In", "Type", "Default", "Meaning"), parameters))
            bodies = kinds_of(route.get("requestBody", {}))
            parts.append(f"Body: {bodies}\n" if bodies else "")
            answers = [
                (code, literal(answer.get("description", "")), kinds_of(answer))
                for code, answer in route["responses"].items()
            ]
            parts.append(table(("Status", "Meaning", "Content"), answers))
    return "\n".join(parts)


def kinds_of(content: dict[str, Any]) -> str:
    """The media types of a body."""
    return ", ".join(f"`{kind}`" for kind in content.get("content", {}))


def described(parameter: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """A row of the table of parameters."""
    options = schema.get("anyOf", [schema])
    kinds = [
        " ".join(f"`{value}`" for value in option["enum"])
        if "enum" in option
        else option.get("type", "")
        for option in options
    ]
    default = f"`{json.dumps(schema['default'])}`" if "default" in schema else ""
    meaning = literal(parameter.get("description", schema.get("description", "")))
    name = f"`{parameter['name']}`"
    types = ", ".join(kind for kind in kinds if kind and kind != "null")
    return [name, parameter["in"], types, default, meaning]


def training_options() -> str:
    """The fields of `TrainConfig`: their types, defaults and meanings."""
    entry = re.compile(r"^        (\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)
    meanings = dict(entry.findall(TrainConfig.__doc__ or ""))
    rows = [
        (f"`{f.name}`", f"`{f.type}`", f"`{f.default!r}`", re.sub(r"\s+", " ", meanings[f.name]))
        for f in dataclasses.fields(TrainConfig)
    ]
    return TRAINING + table(("Option", "Type", "Default", "Meaning"), rows)


def formats() -> str:
    """Every format that is read or written, from the registries."""
    outputs = [
        (f"`{name}`", ", ".join(f"`{s}`" for s in OUTPUTS[name].suffixes) or "any image format")
        for name in OUTPUTS
    ]
    exported = []
    for name, f in FORMATS.items():
        needs = f"`easyseg[{f.extra}]`" if f.extra else ""
        row = (f"`{name}`", f"`{f.extension}`", ", ".join(f.precisions), needs, f.runs_in)
        exported.append(row)
    readers = {name: importlib.import_module(DATASETS[name].read.__module__) for name in DATASETS}
    return FORMATS_PAGE.format(
        outputs=table(("`kind=`", "Extensions"), outputs),
        data=table(
            ("Format", "What is read"), [(f"`{n}`", summary_of(m)) for n, m in readers.items()]
        ),
        exported=table(("Format", "Extension", "Precisions", "Needs", "Runs in"), exported),
    )


def summary_of(documented: object) -> str:
    """The first paragraph of a docstring."""
    return (inspect.getdoc(documented) or "").split("\n\n")[0].replace("\n", " ")


def benchmarks() -> str:
    """A plot and a table of each file of results that compares two things."""
    folder = ROOT / "docs/reference/generated"
    parts = [BENCHMARKS]
    for path in sorted(RESULTS.glob("*.csv")):
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        parts.append(f"## {path.stem}\n")
        script = ROOT / "benchmarks" / f"{path.stem}.py"
        if script.is_file():
            parts.append(literal(first_paragraph(script)) + "\n")
        if rows and "ratio" in rows[0]:
            plot(rows, folder / f"{path.stem}.svg")
            parts.append(f"![Ratios of {path.stem}]({path.stem}.svg)\n")
        parts.append(table(rows[0], (row.values() for row in rows)))
    return "\n".join(parts)


def first_paragraph(script: Path) -> str:
    """What a benchmark says about itself."""
    text = ast.get_docstring(ast.parse(script.read_text("utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ")


def plot(rows: list[dict[str, str]], path: Path) -> None:
    """Ratios as bars from the smallest to the largest of the rounds."""
    rows = [row for row in rows if row["ratio"]]
    keys = list(itertools.takewhile(lambda key: key not in MEASURED, rows[0]))
    labels = [", ".join(row[key] for key in keys) for row in rows]
    ratios = [float(row["ratio"]) for row in rows]
    bounds = [
        [max(r - float(row.get("ratio_min") or r), 0) for r, row in zip(ratios, rows, strict=True)],
        [max(float(row.get("ratio_max") or r) - r, 0) for r, row in zip(ratios, rows, strict=True)],
    ]
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": path.stem}):
        fig, ax = plt.subplots(figsize=(8, 0.9 + 0.28 * len(rows)), layout="constrained")
        places = range(len(rows))
        ax.barh(places, ratios, xerr=bounds, color="#2a9d8f", ecolor="#555555")
        ax.set_yticks(places, labels, fontsize=8)
        ax.invert_yaxis()
        ax.axvline(1, color="#b0503a", linewidth=1)
        ax.set_xlabel("ratio of times; the line is what it is compared with")
        fig.savefig(path, metadata={"Date": None})
        plt.close(fig)


PAGES = {
    "command-line": command_line,
    "web-api": rest,
    "training-options": training_options,
    "formats": formats,
    "benchmarks": benchmarks,
}


def write_pages(app: Any) -> None:
    """Writes the pages that changed."""
    folder = Path(app.srcdir) / "reference/generated"
    folder.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        path, text = folder / f"{name}.md", make()
        if not path.is_file() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


def setup(app: Any) -> dict[str, bool]:
    """Writes the pages before Sphinx looks for files."""
    app.connect("builder-inited", write_pages, priority=100)
    return {"parallel_read_safe": True}
