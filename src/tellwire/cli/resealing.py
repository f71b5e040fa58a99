"""Implement `tellwire keys reencrypt`: encrypt every secret again under the first master key."""

from __future__ import annotations

import asyncio
from functools import partial

from msgspec import Struct

from tellwire.app import App
from tellwire.cli import printing, settings_in_force
from tellwire.cli.database import usable
from tellwire.cli.output import print_json
from tellwire.cli.serving import log_to_stderr
from tellwire.model.tenancy import DEFAULT_ORGANIZATION
from tellwire.settings import Settings
from tellwire.stores.queries import reencryption
from tellwire.stores.queries.audit import AuditChange, note


class _Done(Struct):
    ok: bool = True
    reencrypted: int = 0
    failed: list[str] = []


def reseal(*, as_json: bool) -> int:
    """Encrypt every stored secret anew, print how many, and return the exit code."""
    log_to_stderr()
    done = asyncio.run(_reseal(settings_in_force.load()))
    if as_json:
        print_json(done)
    else:
        printing.out(f"{done.reencrypted} secrets were encrypted anew under the first master key\n")
        for place in done.failed:
            printing.err(f"could not be opened with any of the master keys: {place}\n")
    return 0 if done.ok else 1


async def _reseal(settings: Settings) -> _Done:
    with usable(settings):
        app = await App.open(settings, serving=False, lenient=True)
    try:
        store, done = app.store, _Done()
        after: reencryption.ReencryptionCursor | None = reencryption.ReencryptionCursor()
        while after is not None:
            batch = await store.write(partial(reencryption.reseal, vault=store.vault, after=after))
            done.reencrypted += batch.sealed
            done.failed += batch.failed
            after = batch.after
        done.ok = not done.failed
        if done.reencrypted:
            deed = AuditChange(DEFAULT_ORGANIZATION, "command line", app.clock.now(), store.new_id)
            await store.write(lambda c: note(c, deed, "secrets.reencrypted", "MASTER_KEY"))
        return done
    finally:
        await app.stop()
