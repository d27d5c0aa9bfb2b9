"""Commands for schedulers, each of which calls one job; and the demo."""

import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import polars as pl
import typer
from rich.console import Group

from lakehouse import Verification
from lakehouse.catalog import GRACE, RETENTION
from lakehouse.cli.app import app, session_of, split_target
from lakehouse.cli.output import exit_by_statuses, progress_bar

# The jobs are files of a top-level folder, where type checkers find them. At run time
# that folder is `lakehouse.jobs`, in a checkout as in a wheel.
if TYPE_CHECKING:
    from jobs.clone import clone
    from jobs.collect_garbage import collect_garbage
    from jobs.compact import compact
    from jobs.merge import merge
    from jobs.repair import repair
    from jobs.verify import verify
else:
    from lakehouse.jobs.clone import clone
    from lakehouse.jobs.collect_garbage import collect_garbage
    from lakehouse.jobs.compact import compact
    from lakehouse.jobs.merge import merge
    from lakehouse.jobs.repair import repair
    from lakehouse.jobs.verify import verify

run = typer.Typer(
    help="Run maintenance jobs: merge, compact, verify and so on.",
    no_args_is_help=True,
)
app.add_typer(run, name="run")

Target = Annotated[
    str | None,
    typer.Argument(help="project/dataset[/inference_set]; all of the lake by default."),
]


@run.command("merge")
def run_merge(
    context: typer.Context,
    target: Target = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Keep merging new uploads until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option(help="Seconds between two merges, with --watch.")
    ] = 5.0,
) -> None:
    """Merge the uploads that are staged; exit with 1 if one fails, 3 if one is partial.

    Example: lakehouse run merge cells/hela --watch
    """
    session = session_of(context)
    address = _address(target)
    while True:
        with progress_bar() as progress:
            settled = merge(session.lake(inline=False), address, progress=progress)
        rows = [
            {
                "upload_id": upload.id,
                "status": upload.status,
                "version": upload.version,
                **upload.counts,
            }
            for upload in settled
        ]
        # A watching run prints what it did and keeps silent about rounds without work.
        if settled or not watch:
            session.output.table(pl.DataFrame(rows), "Merged")
        if not watch:
            exit_by_statuses(session.output, [upload.status for upload in settled])
            return
        time.sleep(every)


@run.command("clone")
def run_clone(context: typer.Context) -> None:
    """Complete clones that were deferred or interrupted.

    Example: lakehouse run clone
    """
    session = session_of(context)
    rows = [
        {"target": address, "clone_of": dataset.clone_of}
        for address, dataset in clone(session.lake(inline=False)).items()
    ]
    session.output.table(pl.DataFrame(rows), "Cloned")


@run.command("compact")
def run_compact(context: typer.Context, target: Target = None) -> None:
    """Join small files into large ones, and drop deleted rows from files.

    Example: lakehouse run compact cells/hela
    """
    session = session_of(context)
    reports = [
        compaction.to_frame().select(pl.lit(address).alias("target"), "*")
        for address, compaction in compact(
            session.lake(inline=False), _address(target)
        ).items()
    ]
    rows = pl.concat(reports) if reports else pl.DataFrame()
    session.output.table(rows, "Compacted")


@run.command("collect-garbage")
def run_collect_garbage(
    context: typer.Context,
    target: Target = None,
    retention: Annotated[
        float, typer.Option(help="Days that an old version keeps its files.")
    ] = RETENTION.days,
    grace: Annotated[
        float, typer.Option(help="Days that any file is kept at least.")
    ] = GRACE.days,
    remove: Annotated[
        bool, typer.Option("--remove", help="Remove the files; by default only list.")
    ] = False,
) -> None:
    """List the files that only old versions need, or remove them.

    Example: lakehouse run collect-garbage --remove
    """
    session = session_of(context)
    collected = collect_garbage(
        session.lake(inline=False),
        _address(target),
        retention=timedelta(days=retention),
        grace=timedelta(days=grace),
        dry_run=not remove,
    )
    for address, garbage in collected.items():
        # The tables of the lake itself have no ledger, so no versions that could be
        # closed (decision 0021).
        if address != "lake":
            closed = len(garbage.closed)
            session.output.say(f"{address}: {closed} versions move to the change log")
    reports = [
        garbage.to_frame().select(pl.lit(address).alias("target"), "*")
        for address, garbage in collected.items()
    ]
    title = "Removed" if remove else "Would be removed with --remove"
    session.output.table(pl.concat(reports) if reports else pl.DataFrame(), title)
    corruption = [
        f"{address}: {text}"
        for address, garbage in collected.items()
        for text in garbage.damaged
    ]
    # To stderr, after the table: whoever pipes the list of files still sees it.
    for text in corruption:
        typer.echo(text, err=True)
    if corruption:
        raise typer.Exit(1)


@run.command("verify")
def run_verify(
    context: typer.Context,
    target: Target = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick", help="Do not read every byte, nor check every old version."
        ),
    ] = False,
    media: Annotated[
        bool,
        typer.Option("--media", help="Also check the images, masks and other media."),
    ] = False,
) -> None:
    """Check ledger, files and rows; exit with 1 if anything is wrong.

    Example: lakehouse run verify cells/hela
    """
    session = session_of(context)
    with progress_bar() as progress:
        verified = verify(
            session.lake(inline=False),
            _address(target),
            full=not quick,
            media=media,
            progress=progress,
        )
    session.output.draw(
        Group(*(part for address, one in verified.items() for part in (address, one))),
        {address: _facts(one) for address, one in verified.items()},
    )
    # After all is printed: cron and CI go by the exit status, people by the text.
    if not all(one.is_sound for one in verified.values()):
        raise typer.Exit(1)


@run.command("repair")
def run_repair(context: typer.Context, target: Target = None) -> None:
    """Write missing or damaged log files again from the ledger; exit with 1 if more is lost.

    Example: lakehouse run repair cells/hela
    """
    session = session_of(context)
    repaired = repair(session.lake(inline=False), _address(target))
    rows = [
        {"target": address, "result": result, "what": text}
        for address, one in repaired.items()
        for result, texts in (("repaired", one.done), ("lost", one.lost))
        for text in texts
    ]
    session.output.table(pl.DataFrame(rows), "Repaired")
    if any(one.lost for one in repaired.values()):
        raise typer.Exit(1)


def _facts(verification: Verification) -> dict[str, Any]:
    return {
        "sound": verification.is_sound,
        "checked": dict(verification.checked),
        "notes": list(verification.notes),
        "problems": verification.problems.to_dicts(),
    }


def _address(target: str | None) -> str | None:
    """The target without a version: jobs are about a dataset as a whole."""
    if target is None:
        return None
    split_target(target)  # refuses what is no target
    return target.partition("@")[0]


@app.command()
def demo(
    folder: Annotated[
        Path, typer.Option(help="Folder to create the demo's lake in.")
    ] = Path("demo-lake"),
) -> None:
    """Run the demo: real images through every feature.

    Example: lakehouse demo
    """
    from lakehouse.cli.demo import run_demo  # noqa: PLC0415 - needs an extra

    run_demo(folder)
