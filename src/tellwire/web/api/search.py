"""Look for everything that a question may mean, within what its caller may see."""

from __future__ import annotations

from msgspec import Struct
from sqlalchemy import Connection

from tellwire.journeys.question import Hit, Question
from tellwire.meta.phone_numbers import variants
from tellwire.model.tenancy import Account
from tellwire.stores.queries import conversations, finding
from tellwire.stores.queries.finding import Searcher
from tellwire.web.request import RequestContext

_ERASED = "Somebody or something with this address or id was erased within the last 40 days: nothing of it is kept."
_NO_REQUESTS = (
    "Request ids are kept for requests to send a message. Search the server's log for others, or ask with an id from "
    "the answer to that request."
)
_OLDER = "Events, deliveries and received POSTs are kept for {days} days; what is older cannot be found by their ids."


class Found(Struct, frozen=True):
    """What was found for whom, and what there is to know of the search."""

    hits: list[Hit]
    notes: list[str]
    searcher: Searcher


async def search(context: RequestContext, question: Question) -> Found:
    """Return everything that a question may mean. Words are looked for only where nothing has the text as its id or
    address."""
    searcher = Searcher(organization_id=context.organization_id, whole=context.caller.operator)
    accounts = context.accounts
    notes: list[str] = []
    hits = _of_registry(context, question)
    hits += await context.read(lambda c: _of_ids(c, searcher, accounts, question))
    hits += await _of_formats(context, searcher, question)
    if not hits:
        hits = await _of_words(context, searcher, question, notes)
    if not hits:
        hits = await _of_posts(context, searcher, question, notes)
    if not hits:
        await _why_nothing(context, searcher, question, notes)
    known: dict[tuple[str, str, str], Hit] = {}
    for hit in hits:
        known.setdefault((hit.kind, hit.id, hit.message_id or hit.title), hit)
    return Found(list(known.values()), notes, searcher)


def _of_registry(context: RequestContext, question: Question) -> list[Hit]:
    """Return what a process knows by heart: endpoints, numbers, agents, sources."""
    owner, registry, text = context.organization_id, context.services.store.registry(), question.text
    found = [
        Hit(kind="account", id=each.id, title=each.name or each.display_phone_number or each.phone_number_id,
            at=each.created_at)
        for each in context.accounts
        if question.ours == each.id or _is_number(each, question.digits)
    ]  # fmt: skip
    found += [
        Hit(kind="endpoint", id=each.id, title=each.description or each.url, at=each.created_at)
        for each in registry.endpoints.values()
        if each.organization_id == owner and (question.ours == each.id or text in (each.description, each.url))
    ]
    found += [
        Hit(kind="agent", id=each.id, title=each.name, at=each.created_at)
        for each in registry.agents.values()
        if each.organization_id == owner and question.ours == each.id
    ]
    found += [
        Hit(kind="source", id=each.id, title=each.name, at=each.created_at)
        for each in registry.sources.values()
        if each.organization_id == owner and question.ours == each.id
    ]
    return found


def _is_number(account: Account, digits: str) -> bool:
    shown = "".join(filter(str.isdigit, account.display_phone_number))
    return digits != "" and digits in (account.phone_number_id, shown)


def _of_ids(connection: Connection, searcher: Searcher, accounts: list[Account], question: Question) -> list[Hit]:
    found: list[Hit] = []
    if question.ours:
        found += finding.of_id(connection, searcher, question.ours)
    if question.request_id:
        found += finding.of_request(connection, searcher, question.request_id)
    if question.webhook_id or question.ours:
        found += finding.of_webhook_id(connection, searcher, question.webhook_id or question.ours)
    if question.wamid:
        found += finding.of_wamid(connection, searcher, accounts, question.wamid)
    if question.digits:
        found += finding.of_address(connection, searcher, (question.digits, *variants(question.digits)))
        found += finding.of_group(connection, searcher, accounts, question.digits)
        found += finding.of_meta_file(connection, searcher, question.digits)
    elif question.wamid and not found:
        found += finding.of_address(connection, searcher, (question.wamid,))
        found += finding.of_group(connection, searcher, accounts, question.wamid)
    return with_messages(connection, searcher, found)


def with_messages(connection: Connection, searcher: Searcher, found: list[Hit]) -> list[Hit]:
    """Return hits with the newest messages of the one contact among them, to whom most questions about a number or a
    name lead."""
    people = [hit.id for hit in found if hit.kind == "contact"]
    if len(people) != 1 or len(found) != 1:
        return found
    theirs = finding.of_contacts(connection, searcher, people)
    return theirs if len(theirs) == 1 else [*found, *theirs]


async def _of_formats(context: RequestContext, searcher: Searcher, question: Question) -> list[Hit]:
    ids, owner = context.shown_ids(question.text), context.organization_id
    if ids is None:
        return []

    def work(connection: Connection) -> list[Hit]:
        message_id = conversations.message_of_shown_id(connection, owner, question.text, ids)
        named = message_id or conversations.of_shown_id(connection, owner, question.text, ids)
        return finding.of_id(connection, searcher, named) if named else []

    return await context.read(work)


async def _of_words(context: RequestContext, searcher: Searcher, question: Question, notes: list[str]) -> list[Hit]:
    words = question.words
    if not words:
        return []
    people = finding.Looked([])
    if not question.digits:
        people = await context.read(lambda c: finding.of_name(c, searcher, words))
    hits = await context.read(lambda c: with_messages(c, searcher, people.hits))
    if people.cut:
        notes.append(f"Only the newest {finding.MOST_CONTACTS:,} contacts were searched for the name.")
    texts = await context.read(lambda c: finding.of_words(c, searcher, words))
    if texts.cut:
        notes.append(f"Only the newest messages were searched for the text: {finding.MOST_MESSAGES:,} at the most.")
    return [*hits, *texts.hits]


async def _of_posts(context: RequestContext, searcher: Searcher, question: Question, notes: list[str]) -> list[Hit]:
    """Return items that have become no message, by Meta's ids."""
    wanted = {question.wamid, question.digits} - {""}
    if not wanted:
        return []
    looked = await context.read(
        lambda c: finding.waiting_posts(c, searcher, lambda item: bool({item.wamid, item.phone_number_id} & wanted))
    )
    if looked.cut:
        notes.append(f"Of received POSTs that were not applied, the newest {finding.MOST_POSTS:,} of each outcome were "
                     "searched.")  # fmt: skip
    return looked.hits


async def _why_nothing(context: RequestContext, searcher: Searcher, question: Question, notes: list[str]) -> None:
    """Say why nothing may have been found, and what else to try."""
    key, accounts = context.services.store.registry().erased_key, context.accounts
    for name in filter(None, (question.digits, question.wamid)):
        if await context.read(lambda c, name=name: finding.is_erased(c, searcher, key, accounts, name)):  # type: ignore[misc]
            notes.append(_ERASED)
            return
    if question.request_id.startswith("req_"):
        notes.append(_NO_REQUESTS)
    if question.ours or question.webhook_id or question.wamid:
        notes.append(_OLDER.format(days=f"{context.services.settings.retention_days:g}"))
    if question.digits:
        notes.append("Give the number with its country code, and without the zero that is dialled within the country.")
        notes.append(
            "If Meta sent something for a number that has no account, GET /v1/inbound?outcome=unrouted has it."
        )
