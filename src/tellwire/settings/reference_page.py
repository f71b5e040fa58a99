"""Write the reference page of the settings from their fields."""

from __future__ import annotations

from tellwire.settings.fields import OTHER_VARIABLES, SETTINGS, Settings, shown, variable_of

_PREFACE = """<!-- Made from src/tellwire/settings/fields.py by `./run config --reference`; a test compares them. -->
# Settings

A setting is an environment variable `TELLWIRE_NAME`, or else a lower-case key `name` in `tellwire.toml`, or else its
default. `TELLWIRE_NAME_FILE` names a file that holds the value, for secrets that arrive as files. An empty variable
counts as not set. In `tellwire.toml` lists may be written as lists. A name that is not in this table is an error,
so is one whose prefix is misspelt (`TELWIRE_…`). One without it (`META_APP_SECRET`) is not read, and a warning says so,
but for `HOST`, `PORT`, `PUBLIC_URL`, `ALLOWED_HOSTS` and `TRACING`, which other software has too.

`tellwire config` prints the values in force and where each comes from, secrets masked.

| variable | default | meaning |
|---|---|---|"""


def reference() -> str:
    """Return the reference page of the settings, in Markdown (docs/reference/settings.md)."""
    rows = [
        f"| `{variable_of(name)}` | {_default(name)} | {each.help} Takes {each.all_it_takes}. |"
        for name, each in SETTINGS.items()
    ]
    others = [f"| `{name}` | none | {meaning} |" for name, meaning in OTHER_VARIABLES.items()]
    return "\n".join([_PREFACE, *rows, *others, ""])


def _default(name: str) -> str:
    if SETTINGS[name].default:
        return SETTINGS[name].default
    return f"`{value}`" if (value := shown(Settings(), name)) else "none"
