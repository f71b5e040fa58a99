"""Settings: the environment over `tellwire.toml` over defaults, read once into one frozen object.

A setting is one annotated field in `fields`; the reference page, `tellwire config` and the messages are made of it.
"""

from tellwire.settings.fields import DEV_DEFAULTS, OTHER_VARIABLES, SETTINGS, Settings, reference, shown, variable_of
from tellwire.settings.reading import Loaded, load, read
from tellwire.settings.values import LOOPBACK, AppSecret, Network

__all__ = [
    "DEV_DEFAULTS",
    "LOOPBACK",
    "OTHER_VARIABLES",
    "SETTINGS",
    "AppSecret",
    "Loaded",
    "Network",
    "Settings",
    "load",
    "read",
    "reference",
    "shown",
    "variable_of",
]
