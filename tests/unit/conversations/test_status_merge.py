"""The status merge: whatever the order and repetition, the same row."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from tellwire.conversations.status_merge import merge
from tellwire.model.messaging import Message, StatusFact

NAMES = ["sent", "delivered", "read", "played", "failed", "held_for_quality_assessment", "something_new"]


@st.composite
def facts(draw: st.DrawFn) -> StatusFact:
    return StatusFact(
        name=draw(st.sampled_from(NAMES)),
        at=draw(st.integers(1, 50)),
        participant=draw(st.sampled_from(["", "p", "q"])),
        pricing=draw(st.sampled_from([b"", b'{"billable":true}', b'{"billable":false}'])),
        errors=draw(st.sampled_from([b"", b'[{"code":1}]', b'[{"code":2}]'])),
    )


def fold(items: list[StatusFact]) -> Message:
    message = Message(
        id="m", organization_id="o", account_id="a", conversation_id="c", direction="outgoing", status={"pending": 7}
    )
    for fact in items:
        message = merge(message, fact)
    return message


@given(st.lists(facts(), max_size=8), st.randoms())
def test_order_and_repetition_do_not_matter(items, random):
    shuffled = [*items, *items[:3]]
    random.shuffle(shuffled)
    assert fold(shuffled) == fold(items)


@given(st.lists(facts(), min_size=1, max_size=8))
def test_each_name_keeps_its_earliest_time_and_nothing_is_invented(items):
    status = fold(items).status
    assert status == {"pending": 7} | {
        name: min(f.at for f in items if f.name == name) * 1_000_000 for name in {f.name for f in items}
    }


def test_a_late_sent_does_not_remove_failed_and_pricing_is_of_the_highest_rank():
    sent = StatusFact(name="sent", at=9, pricing=b'{"category":"late"}')
    failed = StatusFact(name="failed", at=3, errors=b'[{"code":131026}]')
    read = StatusFact(name="read", at=4, pricing=b'{"category":"service"}')
    row = fold([failed, read, sent])
    assert set(row.status) == {"pending", "failed", "read", "sent"}
    assert row.errors == b'[{"code":131026}]'
    assert row.pricing == b'{"category":"service"}'
    early = StatusFact(name="read", at=2, participant="p", pricing=b'{"category":"early"}')
    assert fold([read, early]).pricing == b'{"category":"early"}'


def test_pending_is_the_rows_creation_whatever_meta_says():
    row = Message(
        id="1",
        organization_id="o",
        account_id="a",
        conversation_id="c",
        status={"pending": 9_000_000},
        created_at=9_000_000,
    )
    assert merge(row, StatusFact(name="pending", at=5)).status == {"pending": 9_000_000}
    assert merge(replace(row, status={}), StatusFact(name="pending", at=5)).status == {"pending": 5_000_000}
