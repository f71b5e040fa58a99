"""What a new message type needs beside its row; docs/contributing/adding-a-message-type.md lists every place."""

from __future__ import annotations

import json
from functools import cache

from tests.golden.meta.rewrite import cases
from tests.unit.meta.outgoing.cases import SENDABLE

from tellwire.agents.transcript import words
from tellwire.conversations.agent_turns import ANSWERABLE
from tellwire.media import attachments
from tellwire.meta.outgoing import types
from tellwire.meta.webhooks import messages
from tellwire.meta.webhooks.envelope import parse
from tellwire.meta.webhooks.items import MessageItem
from tellwire.simulator.checks import CHECKS
from tellwire.web.api.messages.fields import MessageDraft

PAGE = "docs/contributing/adding-a-message-type.md has every place"
NO_ANSWER = {
    *("reaction", "edit", "revoke", "system", "request_welcome", "media_placeholder"),
    *("unsupported", "unknown"),
}
"""Types that a customer expects no answer to."""
NO_WORDS = NO_ANSWER
"""Types that say nothing to a model."""


@cache
def contents() -> dict[str, list[bytes]]:
    """By type, the contents of the golden bodies and of the examples that can be sent."""
    found: dict[str, list[bytes]] = {}
    for item in (item for case in cases() for item in parse(case.read_bytes())):
        if isinstance(item, MessageItem):
            found.setdefault(item.type, []).append(item.content)
    for kind, value in SENDABLE:
        found.setdefault(kind, []).append(json.dumps({"type": kind, kind: value}).encode())
    return found


# --- both ways --------------------------------------------------------------------------------------------------------


def test_a_type_is_told_to_models_or_known_to_say_nothing() -> None:
    known = {*messages.TYPES, *types.TYPES}
    silent = {kind for kind in known & contents().keys() if not any(map(words, contents()[kind]))}
    assert silent <= NO_WORDS, (
        f"an AI agent is told nothing of a message of these types: {sorted(silent - NO_WORDS)}. Add a row to "
        f"_DESCRIPTIONS in src/tellwire/agents/transcript.py, or the type to NO_WORDS of this test. {PAGE}"
    )
    assert silent >= NO_WORDS, f"these types say something: take them out of NO_WORDS: {sorted(NO_WORDS - silent)}"


# --- types that come --------------------------------------------------------------------------------------------------


def test_a_type_that_comes_is_answered_by_agents_or_known_to_need_no_answer() -> None:
    missing = messages.TYPES.keys() - ANSWERABLE - NO_ANSWER
    assert not missing, (
        f"nobody has said whether a customer expects an answer to these types: {sorted(missing)}. Add them to "
        f"ANSWERABLE in src/tellwire/conversations/agent_turns.py, or to NO_ANSWER of this test. {PAGE}"
    )
    unknown = ANSWERABLE - messages.TYPES.keys()
    assert not unknown, f"ANSWERABLE has types without a row in src/tellwire/meta/webhooks/messages.py: {unknown}"


def test_the_file_of_a_type_is_fetched() -> None:
    with_a_file = {
        kind
        for kind, examples in contents().items()
        for value in (json.loads(content).get(kind) for content in examples)
        if isinstance(value, dict) and {"id", "mime_type"} <= value.keys()
    }
    assert {"image", "document"} <= with_a_file
    missing = with_a_file - attachments.TYPES
    assert not missing, (
        f"messages of these types have a file (`id` and `mime_type`) that nobody fetches: {sorted(missing)}. Add them "
        f"to TYPES in src/tellwire/media/attachments.py. {PAGE}"
    )


# --- types that can be sent -------------------------------------------------------------------------------------------


def test_the_api_takes_every_type_that_can_be_sent() -> None:
    missing = types.TYPES.keys() - set(MessageDraft.__struct_fields__)
    assert not missing, (
        f"POST /v1/messages has no field for these types: {sorted(missing)}. Add one each to MessageDraft in "
        f"src/tellwire/web/api/messages/fields.py. {PAGE}"
    )


def test_the_simulated_meta_takes_every_type_that_can_be_sent() -> None:
    missing = types.TYPES.keys() - CHECKS.keys()
    assert not missing, (
        f"the simulator refuses these types: {sorted(missing)}. Add a row each to CHECKS in "
        f"src/tellwire/simulator/checks.py. {PAGE}"
    )
