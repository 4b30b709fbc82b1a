"""`easyseg merge`."""

from __future__ import annotations

from pathlib import Path

import click

from easyseg.cli import command
from easyseg.cli.evaluate import A_FILE, write_table
from easyseg.cli.options import A_PATH, QUIET, echo
from easyseg.cli.summary import report_failed
from easyseg.distributed.results import merge_results
from easyseg.distributed.scores import SCORES, merge_scores
from easyseg.distributed.shards import whole_file
from easyseg.errors import InputError
from easyseg.inference.folder import RESULTS_LOG
from easyseg.io.shards import shard_files


@command()
@click.argument("out", type=A_PATH, metavar="OUT")
@click.option(
    "--csv", "csv_file", type=A_FILE, help="Write the table of classes of an evaluation as CSV."
)
@QUIET
def merge(
    out: Path,
    csv_file: Path | None,
    quiet: bool,  # noqa: ARG001  (`echo` reads it)
) -> int:
    """Join what the shards of a run wrote into the folder OUT.

    results-1-of-16.jsonl and so on become results.jsonl, and scores-1-of-16.json and so on
    scores.json, as a single run would have written them. OUT may be the joined file, if it has
    another name. If images failed, they are listed and the exit code is 2.

    \b
    easyseg segment images -o out --shard 1/2 & easyseg segment images -o out --shard 2/2 & wait
    easyseg merge out
    """  # noqa: D301  (\b is click's mark for lines to keep)
    has_results, has_scores = (_has_shards(out, name) for name in (RESULTS_LOG, SCORES))
    if not has_results and not has_scores:
        raise InputError(
            f"{out} has no files of shards, such as results-1-of-16.jsonl or scores-1-of-16.json. "
            "Name the folder into which the shards wrote."
        )
    if csv_file is not None and not has_scores:
        raise InputError(f"csv= needs the scores of an evaluation, and {out} has none.")
    code = 0
    if has_results:
        merged = merge_results(out)
        echo(merged)
        code = report_failed(merged.failed)
    if has_scores:
        scores = merge_scores(out)
        echo(f"{scores}\n-> {whole_file(out, SCORES)}")
        if csv_file is not None:
            write_table(scores, csv_file)
    return code


def _has_shards(out: Path, name: str) -> bool:
    whole = whole_file(out, name)
    return whole.suffix == Path(name).suffix and bool(shard_files(whole))
