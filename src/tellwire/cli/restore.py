"""Implement `tellwire restore`: a backup takes the place of the database and the media of the settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tellwire.cli import printing
from tellwire.cli.backup import Progress, contents_in_words, installation_of, long_work
from tellwire.cli.output import Json, print_json

if TYPE_CHECKING:
    from tellwire.stores.backups.restoring import Restored


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="What `tellwire backup` wrote.")
    ],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Delete what is there; without it that is listed, and nothing is changed.")
    ] = False,
    send_waiting: Annotated[
        bool,
        typer.Option(
            "--send-waiting",
            help="Send the messages that waited when the backup was made: say so only if no server ran on the old"
            " database since. Otherwise they become `unknown`, because they may have been sent.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Restore a backup into the database and the media folder of the settings; then start `tellwire serve`.

    Everything is checked first: the hash of each part, the schema, that the master key opens what is sealed, that
    nothing is there yet and no server runs on it. What does not fit is refused, and nothing is changed.
    """
    import asyncio  # noqa: PLC0415 - `--help` does not need what follows

    from tellwire.cli import settings_in_force  # noqa: PLC0415
    from tellwire.clock import SystemClock  # noqa: PLC0415
    from tellwire.observability import logs  # noqa: PLC0415
    from tellwire.stores.backups.restoring import restore_backup  # noqa: PLC0415

    settings = settings_in_force.load()
    logs.set_up()
    with long_work("restore", file, settings):
        done = asyncio.run(
            restore_backup(
                installation_of(settings),
                file,
                force=force,
                send_waiting=send_waiting,
                now=SystemClock().now(),
                tell=Progress("restore"),
            )
        )
    _show(done, as_json=json)


def _show(done: Restored, *, as_json: bool) -> None:
    manifest = done.manifest
    if as_json:
        print_json(
            {
                "ok": True,
                "made_at": manifest.made_at,
                "version": manifest.version,
                "revision": manifest.revision,
                "store": manifest.store,
                "holds": manifest.holds,
                "media": {"where": manifest.media, "files": len(manifest.media_files)},
                "deleted": None if done.deleted is None else {**done.deleted.rows, "media_files": done.deleted.files},
                "now_unknown": done.doubtful,
                "key_file": None if done.key_file is None else str(done.key_file),
            }
        )
        return
    if done.deleted is not None:
        printing.out(f"deleted {done.deleted}\n")
    printing.out(f"restored the backup of {manifest.made_at}: {contents_in_words(manifest)}\n")
    if done.key_file is not None:
        printing.out(f"its master key is in {done.key_file}\n")
    if done.doubtful:
        printing.out(
            f"{done.doubtful} messages waited for being sent and may have been since: they become `unknown` when the"
            " server starts (GET /v1/messages?send_state=unknown)\n"
        )
    if not manifest.media_files and manifest.media.startswith("s3://"):
        printing.out(f"files of messages were in {manifest.media}: TELLWIRE_MEDIA_URL must name that bucket\n")
