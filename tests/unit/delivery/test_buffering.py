"""What a buffer sends together, and when: on a clock that jumps, over arrivals, failures and crashes at any moment."""

from __future__ import annotations

from itertools import groupby
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Raw
from msgspec.structs import replace
from tests.unit.delivery.simulated import EVENT, Reply, Script, Sent, Simulation, endpoint

from tellwire.delivery.buffering import Buffering
from tellwire.delivery.side_lanes import SideLaneLimits
from tellwire.formats.row import Rows
from tellwire.model.deliveries import Buffer, Delivery, Event, Snapshot, Work
from tellwire.model.routing import partition
from tellwire.model.units import MICROS

OK = Reply()
BAD = Reply(status=500)
REFUSED = Reply(failure="refused", after=1_000)
SLACK = 0.01
"""What a commit takes, and the recording of what is sent together."""


def message(kind: str = "text", conversation: str = "c") -> Event:
    row = Raw(b'{"content":{"type":"%s"}}' % kind.encode())
    return replace(EVENT, direction="incoming", conversation_id=conversation, snapshot=Snapshot(row=row))


def status(conversation: str = "c") -> Event:
    return replace(EVENT, action="update", name="messages.update", direction="outgoing", conversation_id=conversation)


TEXT = message()
NOT_OF_A_BURST = {
    "a status": status(),
    "an update of the message": replace(TEXT, action="update"),
    "one that was sent": replace(TEXT, direction="outgoing"),
    "one of the past": replace(TEXT, history=True),
    "a conversation": replace(TEXT, entity="conversations"),
    "something operational": replace(TEXT, entity="operational"),
    "another conversation's": message(conversation="d"),
    "another type": message("image"),
    "one without a type": replace(TEXT, snapshot=Snapshot(row=Raw(b"{}"))),
}


def always(reply: Reply) -> Script:
    return lambda delivery, at: reply


def buffered(script: Script | None = None, *, limits: SideLaneLimits | None = None, **options: Any) -> Simulation:
    """One endpoint with a buffer of 2 seconds and 10 messages, unless it says otherwise."""
    buffer = Buffer(**({"seconds": 2, "most": 10} | options.pop("buffer", {})))
    return Simulation([endpoint(buffer=buffer, **options)], script or always(OK), limits=limits)


def write(simulation: Simulation, *seconds: float, event: Event = TEXT, key: str = "a") -> list[str]:
    """Commit something at each of these times; return what the ids will be."""
    for at in seconds:
        simulation.at(at, lambda: simulation.commits(("ep0", key), event=event))
    return [f"{number:08d}" for number in range(1, len(seconds) + 1)]


def requests(simulation: Simulation) -> list[tuple[float, list[str]]]:
    """When each request was sent, and what of."""
    found = groupby(simulation.sent, key=lambda sent: (round(sent.at, 2), sent.webhook_id))
    return [(at, [sent.delivery.id for sent in some]) for (at, _), some in found]


def at_rest(simulation: Simulation) -> bool:
    shares = simulation.lanes.shares
    orders = [queue.order for queue in simulation.lanes.queues.values()]
    return not (shares.held or shares.in_flight or any(order.blocked or order.keys for order in orders))


# --- when -------------------------------------------------------------------------------------------------------------


def test_a_burst_is_sent_when_its_time_is_over() -> None:
    simulation = buffered()
    ids = write(simulation, 0, 0.5, 1.9)
    simulation.run(10)
    assert requests(simulation) == [(2.0, ids)]
    assert at_rest(simulation)


def test_what_comes_later_is_a_burst_of_its_own() -> None:
    simulation = buffered()
    one, two, three = write(simulation, 0, 2.5, 3)
    simulation.run(10)
    assert requests(simulation) == [(2.0, [one]), (4.5, [two, three])]


def test_as_many_as_may_be_go_at_once() -> None:
    simulation = buffered(buffer={"most": 3})
    ids = write(simulation, 0, 0.1, 0.2, 0.3, 0.4)
    simulation.run(10)
    assert requests(simulation) == [(0.2, ids[:3]), (2.3, ids[3:])]


@pytest.mark.parametrize("other", NOT_OF_A_BURST.values(), ids=NOT_OF_A_BURST.keys())
def test_what_does_not_belong_to_it_ends_a_burst_and_follows_it_at_once(other: Event) -> None:
    simulation = buffered(buffer={"types": ["text"]})
    one, two = write(simulation, 0, 0.5)
    write(simulation, 1, event=other)
    simulation.run(1.5)
    sent = requests(simulation)
    assert [ids for _, ids in sent[:1]] == [[one, two]]
    assert sent[0][0] == 1.0
    if other.conversation_id != "d":  # that one waits for others in its turn
        assert sent[1] == (1.03, ["00000003"])


@pytest.mark.parametrize("other", NOT_OF_A_BURST.values(), ids=NOT_OF_A_BURST.keys())
def test_what_is_none_never_waits(other: Event) -> None:
    simulation = buffered(buffer={"types": ["text"]})
    write(simulation, 0, event=other)
    simulation.run(1)
    assert len(simulation.sent) == (other.conversation_id != "d")


def test_contacts_do_not_wait_for_each_other() -> None:
    simulation = buffered()
    write(simulation, 0, 1, key="a")
    write(simulation, 0.5, 0.6, key="b")
    simulation.run(10)
    assert [(at, len(ids)) for at, ids in requests(simulation)] == [(2.0, 2), (2.5, 2)]


def test_without_an_order_there_is_no_buffer() -> None:
    simulation = buffered(ordering="none")
    write(simulation, 0, 0.1)
    simulation.run(1)
    assert [at for at, _ in requests(simulation)] == [0.0, 0.1]


def test_a_message_from_the_future_waits_no_longer_than_others() -> None:
    simulation = buffered()
    (one,) = write(simulation, 0)
    simulation.at(0.5, simulation.kill)
    simulation.run(0.4)
    simulation.store(replace(simulation.rows[one], created_at=simulation.now + 3600 * MICROS))
    simulation.run(10)
    assert requests(simulation) == [(2.5, [one])]


# --- with what is in the way ------------------------------------------------------------------------------------------


def test_what_piled_up_meanwhile_is_sent_together() -> None:
    simulation = buffered(lambda delivery, at: REFUSED if at < 30 else OK, buffer={"seconds": 0.5, "most": 4})
    write(simulation, 0, 2, 4, 6, 8, 10)
    simulation.run(200)
    accepted = [sent for sent in simulation.sent if sent.ok]
    assert [s.delivery.id for s in accepted] == sorted(simulation.rows)
    assert len({sent.webhook_id for sent in accepted}) == 3  # the first was tried alone, then four, then the rest
    assert at_rest(simulation)


def test_a_burst_that_fails_is_tried_again_together_in_its_place() -> None:
    simulation = buffered(lambda delivery, at: BAD if at < 3 else OK)
    ids = write(simulation, 0, 1, 2.5, 2.6)
    simulation.run(60)
    assert requests(simulation) == [(2.0, ids[:2]), (4.02, ids[:2]), (4.5, ids[2:])]
    assert len({sent.webhook_id for sent in simulation.sent}) == 2
    assert [simulation.rows[each].attempts for each in ids] == [2, 2, 1, 1]
    assert at_rest(simulation)


def test_a_burst_that_is_overtaken_comes_apart() -> None:
    simulation = buffered(
        lambda delivery, at: BAD if delivery.id == "00000002" or (at < 70 and delivery.order_key == "a") else OK
    )
    write(simulation, 0, 0.1, 0.2)
    write(simulation, *range(5, 100, 5), key="b")
    write(simulation, 50, key="a")
    simulation.run(400)
    rows = [simulation.rows[f"{number:08d}"] for number in (1, 2, 3)]
    assert [(row.state.value, row.lane, row.out_of_order) for row in rows] == [
        ("delivered", "late", True),
        ("retrying", "late", True),
        ("delivered", "late", True),
    ]
    apart = [sent for sent in simulation.sent if sent.ok and sent.delivery.order_key == "a"]
    assert len(apart) == 3
    assert all(sent.webhook_id == f"msg_{sent.delivery.id}" for sent in apart)


def test_under_strict_a_burst_is_given_up_as_a_whole() -> None:
    simulation = buffered(
        lambda delivery, at: BAD if delivery.order_key == "a" else OK, ordering="strict", retry_schedule=(1.0, 1.0)
    )
    write(simulation, 0, 0.1)
    write(simulation, 1, 5, key="b")
    write(simulation, 5, key="a", event=status())
    simulation.run(100)
    assert simulation.states() == {"failed": 3, "delivered": 2}
    assert at_rest(simulation)


def test_what_was_tried_together_is_tried_one_by_one_without_a_buffer() -> None:
    simulation = buffered(lambda delivery, at: BAD if at < 3 else OK)
    one, two = write(simulation, 0, 1)
    simulation.at(2.5, lambda: simulation.change("ep0", buffer=None))
    simulation.run(60)
    assert [ids for _, ids in requests(simulation)] == [[one, two], [one], [two]]
    assert [sent.webhook_id for sent in simulation.sent[2:]] == [f"msg_{one}", f"msg_{two}"]


@pytest.mark.parametrize("at", [2.001, 2.01, 2.022], ids=["being recorded", "in flight", "answered"])
def test_a_buffer_may_go_while_a_burst_is_on_its_way(at: float) -> None:
    simulation = buffered(lambda delivery, at: BAD if at < 3 else OK)
    one, two = write(simulation, 0, 1)
    simulation.at(at, lambda: simulation.change("ep0", buffer=None))
    simulation.run(60)
    assert simulation.states() == {"delivered": 2}
    assert [ids for _, ids in requests(simulation)][-2:] == [[one], [two]]
    assert at_rest(simulation)


@pytest.mark.parametrize("at", [1.5, 2.001, 2.01, 2.022, 3])
def test_pausing_keeps_a_burst_for_later(at: float) -> None:
    simulation = buffered(lambda delivery, at: BAD if at < 10 else OK)
    ids = write(simulation, 0, 1)
    simulation.at(at, lambda: simulation.change("ep0", state="paused"))
    simulation.at(20, lambda: simulation.change("ep0", state="active"))
    simulation.run(15)
    assert simulation.states() == {"parked": 2}
    simulation.run(60)
    assert requests(simulation)[-1][1] == ids
    assert len({sent.webhook_id for sent in simulation.sent}) == 1
    assert at_rest(simulation)


# --- one that leaves --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 2])
@pytest.mark.parametrize("at", [1.5, 3.0], ids=["while it collects", "after a failure"])
def test_one_that_is_cancelled_leaves_its_burst(place: int, at: float) -> None:
    simulation = buffered(lambda delivery, at: BAD if at < 3.5 else OK)
    ids = write(simulation, 0, 0.5, 1)

    def cancel() -> None:
        simulation.store(replace(simulation.rows[ids[place]], state="cancelled"))
        simulation.lanes.forget([ids[place]], simulation.now)

    simulation.at(at, cancel)
    simulation.run(60)
    left = [each for each in ids if each != ids[place]]
    assert requests(simulation)[-1][1] == left
    tried = {sent.webhook_id: sent.delivery.id for sent in simulation.sent}
    assert len(tried) == (1 if at < 2 else 2), "another id for other members"
    assert at_rest(simulation)


@pytest.mark.parametrize("place", [0, 1])
def test_a_replay_of_one_is_sent_alone(place: int) -> None:
    simulation = buffered(lambda delivery, at: BAD if at < 3.5 and delivery.lane == "live" else OK)
    ids = write(simulation, 0, 0.5)
    simulation.at(3, lambda: simulation.replay(ids[place]))
    simulation.run(60)
    assert simulation.states() == {"delivered": 2}
    accepted = {sent.delivery.id: sent.webhook_id for sent in simulation.sent if sent.ok}
    assert accepted == {each: f"msg_{each}" for each in ids}
    assert at_rest(simulation)


# --- crashes, leases, memory ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("at", [2.002, 2.01, 2.024, 2.5, 4.5])
def test_after_a_crash_a_burst_is_the_same_under_the_same_id(at: float) -> None:
    simulation = buffered(lambda delivery, at: BAD if at < 4.2 else OK)
    ids = write(simulation, 0, 1)
    simulation.at(at, simulation.kill)
    write(simulation, 2.3, 2.4)
    simulation.run(60)
    sent = requests(simulation)
    assert [each for _, each in sent if each[0] == ids[0]] == [ids] * len(
        [each for _, each in sent if each[0] == ids[0]]
    )
    assert sent[-1][1] == ["00000003", "00000004"]
    assert len({each.webhook_id for each in simulation.sent}) == 2
    assert at_rest(simulation)


def read_in_parts(*, contacts: int, limits: SideLaneLimits) -> Simulation:
    """Bursts of four that were tried together and are recorded; then another process reads them from disk."""
    keys = [f"k{number}" for number in range(contacts)]
    simulation = buffered(lambda delivery, at: REFUSED if at < 5 else OK, buffer={"most": 4})
    for _ in range(4):
        simulation.commits(*(("ep0", key) for key in keys), event=TEXT)
    simulation.run(4)
    assert {len(request) for key in keys for request in groups(simulation, key)} == {4}
    simulation.limits = limits
    simulation.at(6, simulation.kill)
    simulation.run(300)
    assert simulation.states() == {"delivered": 4 * contacts}
    assert at_rest(simulation)
    return simulation


def test_bursts_whose_rows_stand_on_two_pages_are_sent_whole() -> None:
    simulation = read_in_parts(contacts=75, limits=SideLaneLimits())
    names = {row.id: row.together for row in simulation.rows.values()}
    assert {sent.webhook_id for sent in simulation.sent} == set(names.values())
    assert all(sent.webhook_id == names[sent.delivery.id] for sent in simulation.sent)


def test_bursts_that_do_not_fit_into_memory_are_sent_in_parts_under_other_ids() -> None:
    simulation = read_in_parts(contacts=4, limits=SideLaneLimits(window=3))
    members: dict[str, set[str]] = {}
    for request in (request for key in ("k0", "k1", "k2", "k3") for request in groups(simulation, key)):
        told_of = {sent.delivery.id for sent in request}
        assert members.setdefault(request[0].webhook_id, told_of) == told_of


def test_bursts_that_fail_take_no_room_from_others() -> None:
    simulation = buffered(
        lambda delivery, at: BAD if delivery.order_key.startswith("k") else OK,
        limits=SideLaneLimits(window=16),
        ordering="strict",
        buffer={"most": 4},
    )
    for number in range(8):
        for _ in range(4):
            simulation.at(number, lambda key=f"k{number}": simulation.commits(("ep0", key), event=TEXT))  # type: ignore[misc]
        simulation.at(number + 0.5, lambda: simulation.commits(("ep0", "other"), event=status()))
    simulation.run(9)
    assert len(simulation.accepted("ep0", "other")) == 8
    assert simulation.lanes.queues["ep0"].order.blocked == 32


def test_a_burst_of_a_partition_that_was_lost_is_the_next_owners() -> None:
    simulation = buffered(always(Reply(after=5 * MICROS)))
    ids = write(simulation, 0, 1)
    mine = partition("ep0", "a")
    simulation.at(3, lambda: simulation.lose(mine))
    simulation.at(8, lambda: simulation.gain(mine))
    simulation.run(60)
    assert simulation.refused == 1
    assert [each for _, each in requests(simulation)] == [ids, ids]
    assert at_rest(simulation)


def test_what_waits_makes_way_when_memory_is_short() -> None:
    simulation = buffered(limits=SideLaneLimits(window=16), buffer={"seconds": 60, "most": 100})
    for number in range(40):
        simulation.commits(("ep0", f"k{number}"), event=TEXT)
    simulation.commits(("ep0", "other"), event=status())
    simulation.run(5)
    assert "00000041" in simulation.accepted()
    assert simulation.most_held <= 16
    simulation.run(120)
    assert simulation.states() == {"delivered": 41}


# --- whatever happens -------------------------------------------------------------------------------------------------


class Arrival(NamedTuple):
    at: float
    key: str
    event: Event


class Story(NamedTuple):
    arrivals: list[Arrival]
    seconds: float
    most: int
    fails: list[bool]
    kills: list[float]
    pages: int


events = st.sampled_from([TEXT] * 6 + [message("image"), message(conversation="d"), status()])
times = st.floats(0, 20).map(lambda at: round(at, 3))


@st.composite
def stories(draw: st.DrawFn, *, troubled: bool) -> Story:
    arrivals = draw(st.lists(st.builds(Arrival, times, st.sampled_from("ab"), events), min_size=1, max_size=40))
    return Story(
        sorted(arrivals, key=lambda arrival: arrival.at),
        draw(st.sampled_from([0.5, 1, 3, 10])),
        draw(st.integers(1, 6)),
        draw(st.lists(st.booleans(), max_size=6)) if troubled else [],
        sorted(draw(st.lists(times, max_size=4))) if troubled else [],
        draw(st.sampled_from([8, 512])),
    )


def told(story: Story) -> Simulation:
    """Run a story; a request fails as `fails` says, then never again."""
    fails = list(story.fails)
    simulation = buffered(
        lambda delivery, at: BAD if fails and fails.pop(0) else OK,
        limits=SideLaneLimits(window=story.pages),
        ordering="strict",
        buffer={"seconds": story.seconds, "most": story.most, "types": ["text"]},
    )
    for at, key, event in story.arrivals:
        simulation.at(at, lambda key=key, event=event: simulation.commits(("ep0", key), event=event))  # type: ignore[misc]
    for at in story.kills:
        simulation.at(at, simulation.kill)
    simulation.run(1000)
    return simulation


def joins(event: Event) -> bool:
    return event.direction == "incoming" and b"text" in bytes(event.snapshot.row)


def groups(simulation: Simulation, key: str) -> list[list[Sent]]:
    """The requests of a key in order."""
    theirs = [sent for sent in simulation.sent if sent.delivery.order_key == key]
    return [list(some) for _, some in groupby(theirs, key=lambda sent: (sent.at, sent.webhook_id))]


def bounds_hold(simulation: Simulation, story: Story) -> None:
    for request in (request for key in "ab" for request in groups(simulation, key)):
        told_of = [simulation.events[sent.delivery.id] for sent in request]
        assert len(request) <= story.most
        assert len(request) == 1 or (all(map(joins, told_of)) and len({e.conversation_id for e in told_of}) == 1)


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(stories(troubled=False))
def test_nothing_waits_longer_than_it_may(story: Story) -> None:
    simulation = told(story)
    assert simulation.states() == {"delivered": len(story.arrivals)}
    assert sorted(simulation.accepted()) == sorted(simulation.rows), "each once"
    bounds_hold(simulation, story)
    in_memory = story.pages > len(story.arrivals)  # what does not fit is read once there is room
    for key in "ab":
        assert simulation.accepted("ep0", key) == sorted(simulation.accepted("ep0", key))
        line = [row for row in simulation.rows.values() if row.order_key == key]
        free_at = 0.0
        for request in groups(simulation, key):
            first = request[0].delivery
            behind = line[line.index(simulation.rows[first.id]) :]
            recorded = [(row.created_at - simulation.rows["00000001"].created_at) / MICROS for row in behind]
            recorded = [at + story.arrivals[0].at for at in recorded]
            ends = recorded[0] + story.seconds if joins(simulation.events[first.id]) else recorded[0]
            for number, row in enumerate(behind):
                event = simulation.events[row.id]
                alike = joins(event) and event.conversation_id == simulation.events[first.id].conversation_id
                if not alike or number + 1 == story.most:
                    ends = min(ends, recorded[number])
                    break
            assert request[0].at <= max(ends, free_at) + SLACK or not in_memory
            free_at = request[0].at + 0.023
    assert at_rest(simulation)


@settings(deadline=None, max_examples=250, suppress_health_check=list(HealthCheck))
@given(stories(troubled=True))
def test_nothing_is_lost_or_reordered_and_a_copy_has_the_id_of_the_first(story: Story) -> None:
    simulation = told(story)
    assert simulation.states() == {"delivered": len(story.arrivals)}
    bounds_hold(simulation, story)
    for key in "ab":
        firsts = list(dict.fromkeys(simulation.accepted("ep0", key)))
        assert firsts == sorted(firsts) == [row.id for row in simulation.rows.values() if row.order_key == key]
    if not story.kills:
        assert len(simulation.accepted()) == len(story.arrivals), "each once"
    if story.pages > len(story.arrivals):
        ids = {(sent.delivery.id, sent.webhook_id) for sent in simulation.sent}
        assert len(ids) == len(story.arrivals), "one id for each message, whatever happened"
    assert at_rest(simulation)


# --- what belongs together --------------------------------------------------------------------------------------------


def line_of(*events: Event, **first: Any) -> list[Work]:
    """Deliveries of one key; the first one may be special."""
    plain = Delivery(id="", organization_id="o", event_id="e", endpoint_id="ep0", order_key="a")
    head, *more = (Work(replace(plain, id=str(number)), event) for number, event in enumerate(events))
    return [Work(replace(head.delivery, **first), head.event), *more]


@pytest.mark.parametrize(
    ("line", "run"),
    [
        (line_of(TEXT, TEXT, TEXT), 3),
        (line_of(TEXT, TEXT, status(), TEXT), 2),
        (line_of(status(), TEXT), 0),
        (line_of(TEXT, TEXT, attempts=1), 0),
        (line_of(TEXT, TEXT, together="msg"), 0),
        (
            [
                *line_of(TEXT),
                replace(line_of(TEXT)[0], delivery=replace(line_of(TEXT)[0].delivery, behind="x")),
                *line_of(TEXT),
            ],
            1,
        ),
        (line_of(*[TEXT] * 9), 4),
    ],
    ids=["all", "up to a status", "a status", "tried alone", "sent with others", "behind another contact's", "most"],
)
def test_a_run_is_new_messages_that_follow_each_other(line: list[Work], run: int) -> None:
    buffering = Buffering(Buffer(seconds=1, most=4), Rows())
    assert buffering.run(line) == run
