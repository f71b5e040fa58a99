"""Settings: the environment over `tellwire.toml` over defaults, read once into one frozen object.

A setting is one annotated field in `fields`; the reference page, `tellwire config` and the messages are made from it.
"""

from tellwire.security.addresses import AllowedNetwork
from tellwire.settings.fields import DEV_DEFAULTS, OTHER_VARIABLES, SETTINGS, Settings, shown, variable_of
from tellwire.settings.near_misses import NearMiss
from tellwire.settings.reading import LoadedSettings, load, read
from tellwire.settings.reference_page import reference
from tellwire.settings.values import LOOPBACK, AppSecret

__all__ = [
    "DEV_DEFAULTS",
    "LOOPBACK",
    "OTHER_VARIABLES",
    "SETTINGS",
    "AllowedNetwork",
    "AppSecret",
    "LoadedSettings",
    "NearMiss",
    "Settings",
    "load",
    "read",
    "reference",
    "shown",
    "variable_of",
]
