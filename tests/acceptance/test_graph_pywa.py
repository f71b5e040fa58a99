"""pywa, a client written for Meta, runs unchanged: only its base URL and its token are ours."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import pywa
import pywa.errors
from pywa import types
from pywa.types.templates import BodyText, ParamFormat, Template, TemplateCategory, TemplateLanguage, TemplateStatus
from tests.acceptance.graph_site import ADMIN, CUSTOMER, NUMBER, VERSION, WABA, Site, site
from tests.acceptance.processes import until
from tests.clients.pywa_bot import PywaBot, pywa_bot

from tellwire.simulator import number_for

BODY: Any = BodyText  # its `params` takes words, whatever its annotations say
PICTURE = bytes(range(256)) * 40


@pytest.fixture(scope="module")
def at(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("pywa")) as found:
        yield found


@pytest.fixture
def client(at: Site) -> Iterator[pywa.WhatsApp]:
    with httpx.Client(timeout=30) as session:
        ours = pywa.WhatsApp(phone_id=NUMBER, token=ADMIN, waba_id=WABA, session=session)
        session.base_url = f"{at.graph}/{VERSION}"
        yield ours


def test_every_kind_of_message_goes_out(at: Site, client: pywa.WhatsApp) -> None:
    before = len(at.accepted())
    uploaded = client.upload_media(PICTURE, mime_type="image/png", filename="x.png").id
    first = client.send_message(CUSTOMER, "Hola", preview_url=True, tracker="order-1")
    assert first.id.startswith("wamid.")
    assert first.input == CUSTOMER
    buttons = [types.Button(title="Yes", callback_data="y"), types.Button(title="No", callback_data="n")]
    rows = [types.SectionRow(title="One", callback_data="1", description="The first")]
    sent = [
        client.send_message(CUSTOMER, "A reply", reply_to_message_id=first.id),
        client.send_message(CUSTOMER, "Yes or no?", footer="Please", header="Well", buttons=buttons),
        client.send_message(CUSTOMER, "Choose", buttons=types.SectionList("Open", [types.Section("All", rows)])),
        client.send_message(CUSTOMER, "Look", buttons=types.URLButton(title="Open", url="https://example.com")),
        client.send_image(CUSTOMER, uploaded, caption="A picture"),
        client.send_image(CUSTOMER, "https://example.com/a.png"),
        client.send_video(CUSTOMER, "https://example.com/a.mp4"),
        client.send_audio(CUSTOMER, "https://example.com/a.mp3"),
        client.send_voice(CUSTOMER, "https://example.com/a.ogg"),
        client.send_document(CUSTOMER, "https://example.com/a.pdf", filename="a.pdf"),
        client.send_sticker(CUSTOMER, "https://example.com/a.webp"),
        client.send_location(CUSTOMER, latitude=19.4, longitude=-99.1, name="Here", address="There"),
        client.send_reaction(CUSTOMER, "👍", first.id),
        client.remove_reaction(CUSTOMER, first.id),
        client.request_location(CUSTOMER, "Where are you?"),
        client.send_contact(CUSTOMER, types.Contact(name=types.Contact.Name(formatted_name="Ana", first_name="Ana"))),
    ]
    accepted = at.accepted()[before:]
    assert [each["id"] for each in accepted] == [first.id, *(each.id for each in sent)]
    kinds = [each["body"]["type"] for each in accepted]
    assert {*kinds} >= {
        *("text", "interactive", "image", "video", "audio", "document", "sticker", "location", "reaction", "contacts")
    }
    assert accepted[1]["body"]["context"] == {"message_id": first.id}
    assert len({each["callback_data"] for each in accepted}) == len(accepted)
    rows_of_ours = {row["wa_id"]: row for row in at.messages("accepted")}
    assert all(each["id"] in rows_of_ours for each in accepted)


def test_a_status_brings_back_the_callers_own_data(at: Site, client: pywa.WhatsApp) -> None:
    with pywa_bot(secret="a secret of a bot", verify_token="a-token") as (bot, url):
        draft = {"url": url, "format": "meta", "secret": "a secret of a bot", "verify_token": "a-token"}
        made = at.rest("POST", "/v1/webhook-endpoints", draft)
        theirs = client.send_message(CUSTOMER, "Hola", tracker='order "7" é').id
        none = client.send_message(CUSTOMER, "Hola").id
        told = until(lambda: trackers(bot, theirs, none), what="statuses of both")
        at.rest("DELETE", f"/v1/webhook-endpoints/{made['id']}")
    sent = {each["id"]: each["callback_data"] for each in at.accepted()[-2:]}
    assert told == {theirs: 'order "7" é', none: sent[none]}
    assert sent[theirs] in {row["id"] for row in at.messages()}, "what Meta gets is our id"


def trackers(bot: PywaBot, *wamids: str) -> dict[str, str]:
    """What pywa shows as the tracker of these messages, once it has a status of each."""
    statuses = [each for each in bot.updates if isinstance(each, types.MessageStatus) and each.id in wamids]
    found = {each.id: str(each.tracker) for each in statuses}  # those of messages that were sent before may come too
    return found if set(wamids) <= found.keys() else {}


def test_media_goes_up_and_down(at: Site, client: pywa.WhatsApp) -> None:
    uploaded = client.upload_media(PICTURE, mime_type="image/png", filename="x.png")
    link = client.get_media_url(uploaded.id)
    assert (link.mime_type, link.file_size, link.sha256) == (
        "image/png",
        len(PICTURE),
        hashlib.sha256(PICTURE).hexdigest(),
    )
    assert link.url.startswith(at.graph)
    assert client.get_media_bytes(link.url) == PICTURE
    assert client.delete_media(uploaded.id, phone_id=NUMBER)
    with pytest.raises(pywa.errors.WhatsAppError) as caught:
        client.get_media_url(uploaded.id)
    assert (caught.value.code, caught.value.subcode) == (100, 33)


def test_a_customers_file_is_had_by_metas_id_as_soon_as_its_message_came(at: Site, client: pywa.WhatsApp) -> None:
    told = at.control("customer", wa_id=CUSTOMER, type="image", size=100_000, caption="Mira")["message"]["image"]
    until(lambda: at.rest("GET", "/v1/media")["data"][0]["meta_id"] == told["id"], what="the customer's message")
    link = client.get_media_url(told["id"])
    content = client.get_media_bytes(link.url)
    assert (len(content), hashlib.sha256(content).hexdigest()) == (100_000, link.sha256)


def test_templates_are_made_listed_sent_and_deleted(at: Site, client: pywa.WhatsApp) -> None:
    made = client.create_template(
        Template(
            name="order_ready",
            category=TemplateCategory.UTILITY,
            language=TemplateLanguage.SPANISH_MEX,
            parameter_format=ParamFormat.POSITIONAL,
            components=[BodyText("Hola {{1}}, tu pedido {{2}} está listo", "Ana", "42")],
        )
    )
    until(lambda: client.get_template(made.id).status == TemplateStatus.APPROVED, what="the approval")
    assert {each.name for each in client.get_templates()} >= {"order_ready"}
    language = TemplateLanguage.SPANISH_MEX
    sent = client.send_template(CUSTOMER, "order_ready", language, params=[BODY.params("Ana", "42")])
    assert sent.status == "accepted"
    with pytest.raises(pywa.errors.TemplateParamCountMismatch):
        client.send_template(CUSTOMER, "order_ready", language, params=[BODY.params("Ana")])
    assert client.delete_template("order_ready")
    assert "order_ready" not in {each.name for each in client.get_templates()}
    with pytest.raises(pywa.errors.WhatsAppError):
        client.get_template(made.id)


def test_what_a_client_reads_at_its_start(client: pywa.WhatsApp) -> None:
    number = client.get_business_phone_number()
    assert (number.id, number.display_phone_number) == (NUMBER, "525500000000")
    assert [each.id for each in client.get_business_phone_numbers()] == [NUMBER]
    assert client.get_business_account().id == WABA


def test_a_message_is_marked_read_and_typing_is_shown(at: Site, client: pywa.WhatsApp) -> None:
    came = at.control("customer", wa_id=CUSTOMER, text="¿Abren hoy?")["id"]
    until(lambda: any(row.get("wa_id") == came for row in at.messages()), what="the customer's message")
    assert client.mark_message_as_read(came)
    assert client.indicate_typing(came)
    assert at.control("receipts")["data"][-2:] == [came, came]
    row = next(row for row in at.messages() if row.get("wa_id") == came)
    assert "read" in row["status"]


def test_errors_are_pywas_errors(client: pywa.WhatsApp) -> None:
    with pytest.raises(pywa.errors.TemplateNotExists):
        client.send_message(number_for(132001), "Hola")
    with pytest.raises(pywa.errors.WhatsAppError) as caught:
        client.send_message(CUSTOMER, "x" * 5000)
    assert caught.value.code == 100
    assert "/text/body" in (caught.value.details or "")
    with pytest.raises(pywa.errors.RateLimitHit):  # from now on the number waits
        client.send_message(number_for(130429), "Hola")
