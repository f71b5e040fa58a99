"""Write down what is made of every golden body: `python -m tests.golden.meta.rewrite`, then read the difference.

`<field>/<case>.json` is a body as Meta would POST it; `<field>/items/<case>.json` the items that it holds.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tellwire.meta import parse
from tellwire.meta.webhooks.items import Item

ROOT = Path(__file__).parent
JSON_FIELDS = {"content", "edited_content", "pricing", "errors", "value", "payment"}


def cases() -> list[Path]:
    """The bodies, in order."""
    return sorted(ROOT.glob("*/*.json"))


def expected(case: Path) -> Path:
    """Where the items of a body are written down."""
    return case.parent / "items" / case.name


def rendered(items: tuple[Item, ...]) -> str:
    """Write items as JSON for people: fields at their default left out, verbatim JSON shown as such."""
    return msgspec.json.format(msgspec.json.encode([_shown(item) for item in items]), indent=2).decode() + "\n"


def _shown(item: Item) -> dict[str, object]:
    shown: dict[str, object] = {"item": type(item).__name__}
    defaults = {field.name: field.default for field in msgspec.structs.fields(item)}
    for name, value in msgspec.structs.asdict(item).items():
        if value != defaults[name]:
            shown[name] = msgspec.Raw(value) if name in JSON_FIELDS else value
            if name == "facts":
                shown[name] = {fact: msgspec.Raw(text) for fact, text in value.items()}
    return shown


def main() -> None:
    """Rewrite all of them."""
    for case in cases():
        expected(case).parent.mkdir(exist_ok=True)
        expected(case).write_text(rendered(parse(case.read_bytes())), encoding="utf-8")


if __name__ == "__main__":
    main()
