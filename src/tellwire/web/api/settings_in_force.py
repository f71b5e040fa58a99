"""Serve `/v1/settings`: the settings in force of this process, secrets masked, for who runs the installation."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, get
from msgspec import Meta, Struct

from tellwire import settings
from tellwire.errors import NotAllowed
from tellwire.web.request import ContextDependency
from tellwire.web.responses import json_response


class SettingRead(Struct, kw_only=True):
    """A setting as it is in force; a secret is masked, and "" means none."""

    name: Annotated[str, Meta(description="The environment variable that sets it.")]
    value: str
    source: Annotated[str, Meta(description="`default`, the variable, or the settings file.")]
    help: str
    takes: str


class SettingList(Struct, kw_only=True):
    """Every setting."""

    data: list[SettingRead]


@get("/settings", summary="List the settings in force", opt={"scopes": ("admin",)})
async def list_settings(context: ContextDependency) -> Response[SettingList]:
    """What `tellwire config` shows, of the process that answers; for operators only."""
    if not context.caller.operator:
        raise NotAllowed("Only who runs the installation sees its settings.")
    in_force, sources = context.services.settings, context.services.setting_sources
    rows = [
        SettingRead(
            name=settings.variable_of(name),
            value=settings.shown(in_force, name),
            source=sources.get(name, "default"),
            help=about.help,
            takes=about.all_it_takes,
        )
        for name, about in settings.SETTINGS.items()
    ]
    return json_response(SettingList(data=rows))


HANDLERS = (list_settings,)
