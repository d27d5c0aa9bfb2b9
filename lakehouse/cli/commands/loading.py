"""The command that loads sources of any size."""

from typing import Annotated, Any

import typer

from lakehouse.cli.app import PARTLY, app, session
from lakehouse.cli.progress import progress_bar
from lakehouse.loading import PART_BYTES
from lakehouse.model.ids import new_upload_id

__all__ = ["load"]

_MIB = 1024**2

Source = Annotated[
    str | None,
    typer.Option(
        help="A file, a folder or a pattern, local or s3://: Parquet, Arrow IPC, CSV "
        "or JSON lines."
    ),
]


@app.command()
def load(
    context: typer.Context,
    target: Annotated[str, typer.Argument(help="project/dataset")],
    frames: Source = None,
    labels: Source = None,
    message: Annotated[str | None, typer.Option("--message", "-m", help="Why.")] = None,
    if_exists: Annotated[str, typer.Option(help="replace, reject or skip")] = "replace",
    load_id: Annotated[
        str | None, typer.Option(help="Go on with a load that broke off.")
    ] = None,
    part_size: Annotated[
        int, typer.Option(min=1, help="MiB of the source in one upload.")
    ] = PART_BYTES // _MIB,
) -> None:
    """Load what is larger than memory: lakehouse load cells/hela --frames 'frames/*.parquet'."""
    here = session(context)
    if if_exists not in {"replace", "reject", "skip"}:
        raise typer.BadParameter("--if-exists is replace, reject or skip")
    dataset = here.dataset(target)
    chosen = load_id or new_upload_id()
    here.output.say(f"Load {chosen}: if it breaks off, add --load-id {chosen}")
    with progress_bar() as progress:
        loaded = dataset.load(
            frames,
            labels,
            if_exists=if_exists,  # type: ignore[arg-type]
            load_id=chosen,
            part_bytes=part_size * _MIB,
            message=message,
            progress=progress,
        )
    facts: dict[str, Any] = {
        "id": loaded.id,
        "status": loaded.status,
        "uploads": len(loaded.uploads),
        "known": loaded.known,
        "version": dataset.version,
        **loaded.counts,
        "labels": loaded.label_counts,
    }
    here.output.facts(facts, "Load")
    if loaded.status in {"PARTIAL", "FAILED"}:
        here.output.say(f"What is wrong: lakehouse upload errors {target} UPLOAD")
        for upload in loaded.uploads:
            if upload.counts["rejected"]:
                here.output.say(f"  {upload.id}: {upload.counts['rejected']} frames")
        raise typer.Exit(PARTLY if loaded.status == "PARTIAL" else 1)
