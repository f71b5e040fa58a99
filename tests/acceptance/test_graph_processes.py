"""The Graph façade where one process answers and another one sends: what became of a message is in its row."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.acceptance.graph_site import CUSTOMER, Site, site
from tests.acceptance.processes import until
from tests.acceptance.test_graph_sending import QUIET, details, error

from tellwire.simulator import number_for

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("processes"), postgres=True) as found:
        until(lambda: found.send("5215500009999")[0] == 200, what="a message that goes out")
        yield found


def test_an_accepted_message_is_answered_from_its_row(at: Site) -> None:
    status, answer = at.send(once="a-key")
    last = at.accepted()[-1]
    assert (status, answer) == (
        200,
        {
            "messaging_product": "whatsapp",
            "contacts": [{"input": CUSTOMER, "wa_id": CUSTOMER}],
            "messages": [{"id": last["id"]}],
        },
    )
    assert at.send(once="a-key") == (status, answer)
    assert at.accepted()[-1] == last
    template = {"name": "hello_world", "language": {"code": "en_US"}}
    _, answer = at.send(type="template", text=None, template=template)
    assert answer["messages"][0]["message_status"] == "accepted"


def test_metas_refusal_is_answered_from_the_row(at: Site) -> None:
    found = error(at.send(number_for(132001, "answer")), 404, 132001)
    assert details(found) == "as was asked of the simulator"


def test_a_message_whose_turn_does_not_come_is_cancelled(at: Site) -> None:
    at.account(send_rate=1)
    before = len(at.accepted())
    answers = [at.send(f"52155000002{number:02}") for number in range(2)]
    until(lambda: not at.messages("queued"), what="the end")
    at.account(send_rate=80)
    sent = [answer for answer in answers if answer[0] == 200]
    assert len(at.accepted()) == before + len(sent)
    at.deployment.signal("send", 19)  # SIGSTOP: nobody sends now
    found = error(at.send("5215500000299"), 400, 130429)
    at.deployment.signal("send", 18)
    assert found["is_transient"] is True
    row = at.messages("cancelled")[0]
    assert row["to"] == "5215500000299"
    assert at.send("5215500000299")[0] == 200
    assert [each["recipient"] for each in at.accepted()].count("5215500000299") == 1


def test_an_unknown_outcome_is_known_from_the_row(at: Site) -> None:
    at.control("knobs", timeout_rate=1, hang_seconds=0.1, loss_rate=1)
    found = error(at.send("5215500000300"), 400, 131000)
    at.control("knobs", loss_rate=0, **QUIET)
    assert at.rest("GET", f"/v1/messages/{found['error_data']['message_id']}")["send_state"] == "unknown"
