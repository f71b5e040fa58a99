"""What a failure means and what to do about it, in words."""

from __future__ import annotations

from tellwire.web.console.words import has_words, words


def advice(failure: str | None) -> str:
    """Return what to do about a failure: the words of its status or kind, else those of the status's class."""
    known = failure or ""
    for name in (known, f"{known[:1]}xx" if known.isdigit() else "other", "other"):
        if has_words(f"causes.{name}"):
            return words(f"causes.{name}")
    return ""


def grouped(number: float) -> str:
    """Return a number with its thousands apart."""
    return f"{number:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def lasting(seconds: float) -> str:
    """Return a length of time in words."""
    for unit, size in (("hours", 3600), ("minutes", 60)):
        if seconds >= size * 1.5:
            return words(f"causes.lasting.{unit}", number=grouped(seconds / size))
    return words("causes.lasting.seconds", number=max(1, round(seconds)))


def sentence(cause: str) -> str:
    """Return a cause as the beginning of a sentence."""
    return cause[:1].upper() + cause[1:]
