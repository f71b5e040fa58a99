"""Serve `/inbox/{conversation}`: the chat with one customer, and everything that is done in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from litestar import Request, Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import FromPath
from litestar.response import Redirect

from tellwire.web.api.media.forms import FormFile, boundary_of, read_form
from tellwire.web.console.api_calls import ApiProblem, Part
from tellwire.web.console.chat import bubbles, snippet
from tellwire.web.console.inbox import may_write, name_of, number_of, window_of
from tellwire.web.console.login import VisitDependency
from tellwire.web.console.pages import Visit
from tellwire.web.console.sessions import check_csrf
from tellwire.web.console.template_forms import TemplateForm, form_of, message_of
from tellwire.web.console.words import words
from tellwire.web.parameters import our_id
from tellwire.web.request import AppState, StateDependency

_READ: dict[str, Any] = {"opt": {"scopes": ("read", "inbox")}, "include_in_schema": False}
_WRITE: dict[str, Any] = {"opt": {"scopes": ("messages:write",)}, "include_in_schema": False, "status_code": 303}
_PATH = "/inbox/{conversation_id:str}"
_MOST_TYPED = 4096

AnyRequest = Request[Any, Any, Any]
Answer = Response[Any]


class Typed(dict[str, str]):
    """What was typed into a form, "" for what was not."""

    def __missing__(self, name: str) -> str:
        return ""


@get(_PATH, **_READ)
async def conversation(conversation_id: FromPath[str], visit: VisitDependency, app_state: StateDependency) -> Answer:
    """The chat; looking at it marks it as read, if the person may write."""
    return await _page(visit, app_state, conversation_id)


async def _page(
    visit: Visit,
    app_state: AppState,
    conversation_id: str,
    *,
    problem: ApiProblem | None = None,
    typed: Mapping[str, str] | None = None,
) -> Response[bytes]:
    """Show the chat, after a form that was refused with the `problem` and what was `typed`."""
    api, path = visit.api, _of(conversation_id)
    row, cursor = await api.get(path), visit.query.get("cursor", "")
    messages, notes, labels, people, agent, others = await asyncio.gather(
        api.part(f"{path}/messages", limit=50, cursor=cursor),
        api.part(f"{path}/notes", limit=50),
        api.part("/labels", limit=200),
        api.part("/conversations/assignees"),
        api.part(f"{path}/agent"),
        api.part("/conversations", contact=row["contact_id"] or row["group_id"], limit=10),
    )
    typed, window = Typed(typed or {}), window_of(row, app_state.services.clock.now())
    rows = messages.data["data"] if messages.data else []
    if row["unread"] and rows and not cursor and may_write(visit):
        await api.send("POST", f"{path}/read", {"message_id": rows[0]["id"]})
    customer = name_of(row)
    assignees = people.data["data"] if people.data else []
    chosen = "template" in visit.query or "template" in typed or window.state == "closed"
    templates = chosen or any(each["content"].get("type") == "template" for each in rows)
    forms = {each.id: each for each in (await _templates(visit, row) if templates else ())}
    wanted = typed["template"] or visit.query.get("template", "")
    reply = next((each for each in rows if each["id"] == (typed["reply"] or visit.query.get("reply", ""))), None)
    return visit.page(
        "conversation.html",
        status=problem.status if problem else 200,
        row=row,
        base=f"/inbox/{conversation_id}",
        customer=customer,
        number=number_of(row),
        window=window,
        messages=messages,
        bubbles=bubbles(
            rows,
            customer=customer,
            names={each["id"]: each["name"] for each in assignees},
            templates={(each.name, each.language): each.text for each in forms.values()},
        ),
        notes=notes,
        labels=[each for each in (labels.data["data"] if labels.data else ()) if each["id"] not in _ids(row["labels"])],
        people=assignees,
        agent=agent,
        agent_name=_agent_name(agent, assignees),
        others=[each for each in (others.data["data"] if others.data else ()) if each["id"] != row["id"]],
        chosen=chosen,
        forms=forms,
        form=forms.get(wanted),
        reply={"id": reply["id"], "text": snippet(reply)} if reply else None,
        writes=may_write(visit),
        me=visit.session.stored.member_id,
        problem=problem,
        typed=typed,
    )


def _of(conversation_id: str) -> str:
    return f"/conversations/{our_id(conversation_id, 'conversation')}"


def _ids(rows: list[dict[str, Any]]) -> set[str]:
    return {each["id"] for each in rows}


def _agent_name(agent: Part, assignees: list[dict[str, Any]]) -> str:
    identifier = agent.data["agent_id"] if agent.data else None
    return next((each["name"] for each in assignees if each["id"] == identifier), "")


async def _templates(visit: Visit, row: Mapping[str, Any]) -> list[TemplateForm]:
    """Return the templates that may be sent from the number of a conversation."""
    found = await visit.api.part("/templates", account=row["account_id"], status="APPROVED", limit=200)
    return sorted(map(form_of, found.data["data"] if found.data else ()), key=lambda each: (each.name, each.language))


# --- what is sent -----------------------------------------------------------------------------------------------------


@post(f"{_PATH}/send", **_WRITE)
async def send_text(
    conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency, app_state: StateDependency
) -> Answer:
    """Send a text, as an answer to a message if one was chosen."""
    form = await request.form()
    text, reply = str(form.get("text", "")).strip(), str(form.get("reply", ""))
    body: dict[str, Any] = {"type": "text", "text": {"body": text}}
    if reply:
        body["context"] = {"message_id": reply}
    return await _send(visit, app_state, conversation_id, form, body, typed={"text": text, "reply": reply})


@post(f"{_PATH}/template", **_WRITE)
async def send_template(
    conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency, app_state: StateDependency
) -> Answer:
    """Send a template, with what was typed into its fields."""
    form = await request.form()
    typed = {name: str(value)[:_MOST_TYPED] for name, value in form.items() if not isinstance(value, UploadFile)}
    template = form_of(await visit.api.get(f"/templates/{our_id(str(form.get('template', '')), 'template')}"))
    body = {"type": "template", "template": message_of(template, typed)}
    return await _send(visit, app_state, conversation_id, form, body, typed=typed)


@post(
    f"{_PATH}/file",
    opt={"scopes": ("messages:write",), "streams": True},
    include_in_schema=False,
    status_code=303,
    request_max_body_size=None,
)
async def send_file(
    conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency, app_state: StateDependency
) -> Answer:
    """Upload a file, as it comes, and send it."""
    row = await visit.api.get(_of(conversation_id))
    form: dict[str, str] = {}
    kept: dict[str, Any] = {}

    async def take(file: FormFile, chunks: AsyncIterator[bytes]) -> None:
        check_csrf(visit.session, form.get("csrf", ""))
        if not file.filename:
            raise ApiProblem(422, {"detail": words("inbox.no_file")})
        once = _once(form, "file")
        account, given = {"account": row["account_id"]}, {"name": file.filename, "mime_type": file.mime_type}
        kept.update(await visit.api.upload("/media", chunks, account, once=once, **given))

    try:
        await read_form(request, boundary_of(request), take, file="file", fields=form)
    except ApiProblem as problem:
        return await _page(visit, app_state, conversation_id, problem=problem, typed=form)
    kind, caption = _kind_of(kept["mime_type"]), form.get("caption", "").strip()
    value: dict[str, Any] = {"id": kept["id"]}
    if caption and kind in ("image", "video", "document"):
        value["caption"] = caption
    if kind == "document":
        value["filename"] = kept["filename"]
    return await _send(visit, app_state, conversation_id, form, {"type": kind, kind: value}, typed=form)


def _kind_of(mime_type: str) -> str:
    if mime_type == "image/webp":
        return "sticker"
    kind = mime_type.partition("/")[0]
    return kind if kind in ("image", "video", "audio") else "document"


async def _send(
    visit: Visit,
    app_state: AppState,
    conversation_id: str,
    form: Mapping[str, Any],
    body: Mapping[str, Any],
    *,
    typed: Mapping[str, str],
) -> Answer:
    """Send a message into the conversation; show the chat of the conversation that it went into."""
    row = await visit.api.get(_of(conversation_id))
    place = {"account": row["account_id"], "conversation_id": row["id"]}
    try:
        sent = await visit.api.send("POST", "/messages", {**body, **place}, once=_once(form, "send"))
    except ApiProblem as problem:
        return await _page(visit, app_state, conversation_id, problem=problem, typed=typed)
    return visit.back(f"/inbox/{sent['conversation_id']}")


def _once(form: Mapping[str, Any], what: str) -> str:
    """Return the key of one of the calls that a form makes."""
    given = str(form.get("once", ""))
    return f"{given}-{what}" if given else ""


@post(f"{_PATH}/message", **_WRITE)
async def on_message(conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency) -> Redirect:
    """Send a message that failed once more, or take one back that was not sent yet."""
    form = await request.form()
    await visit.api.get(_of(conversation_id))
    for action, done in (("resend", "resent"), ("cancel", "cancelled")):
        if message_id := str(form.get(action, "")):
            path = f"/messages/{our_id(message_id, 'message')}/{action}"
            await visit.api.send("POST", path, once=_once(form, action))
            return visit.back(f"/inbox/{conversation_id}", done=done)
    return visit.back(f"/inbox/{conversation_id}")


# --- what is noted ----------------------------------------------------------------------------------------------------


@post(f"{_PATH}/labels", **_WRITE)
async def change_labels(
    conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency, app_state: StateDependency
) -> Answer:
    """Take a label off, or put one on: one that there is, or a new one."""
    form, path = await request.form(), _of(conversation_id)
    removed, added, name = (str(form.get(each, "")).strip() for each in ("remove", "add", "name"))
    try:
        if name and not removed:
            draft = {"name": name, "colour": str(form.get("colour", "grey"))}
            added = (await visit.api.send("POST", "/labels", draft, once=_once(form, "label")))["id"]
        if removed or added:
            method = "DELETE" if removed else "POST"
            await visit.api.send(method, f"{path}/labels/{our_id(removed or added, 'label')}")
    except ApiProblem as problem:
        return await _page(visit, app_state, conversation_id, problem=problem, typed={"name": name})
    if removed or added:
        return visit.back(f"/inbox/{conversation_id}", done="labelled")
    await visit.api.get(path)
    return visit.back(f"/inbox/{conversation_id}")


@post(f"{_PATH}/notes", **_WRITE)
async def change_notes(
    conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency, app_state: StateDependency
) -> Answer:
    """Write a note, or delete one."""
    form, path = await request.form(), f"{_of(conversation_id)}/notes"
    removed, text = str(form.get("remove", "")), str(form.get("note", "")).replace("\r\n", "\n").strip()
    if removed:
        await visit.api.send("DELETE", f"{path}/{our_id(removed, 'note')}")
        return visit.back(f"/inbox/{conversation_id}", done="note_deleted")
    try:
        await visit.api.send("POST", path, {"text": text}, once=_once(form, "note"))
    except ApiProblem as problem:
        return await _page(visit, app_state, conversation_id, problem=problem, typed={"note": text})
    return visit.back(f"/inbox/{conversation_id}", done="noted")


@post(f"{_PATH}/assign", **_WRITE)
async def assign(conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency) -> Redirect:
    """Say who is to answer: `member …`, `agent …` or nobody."""
    kind, _, identifier = str((await request.form()).get("to", "")).partition(" ")
    body = {f"{kind}_id": identifier} if kind in ("member", "agent") else {}
    await visit.api.send("POST", f"{_of(conversation_id)}/assign", body)
    return visit.back(f"/inbox/{conversation_id}", done="assigned")


@post(f"{_PATH}/agent", **_WRITE)
async def change_agent(conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency) -> Redirect:
    """Take over from the AI agent, or let it answer again."""
    action = "resume" if (await request.form()).get("do") == "resume" else "pause"
    body = {"reason": words("inbox.agent.reason", name=visit.session.access.name)[:200]} if action == "pause" else None
    await visit.api.send("POST", f"{_of(conversation_id)}/agent/{action}", body)
    return visit.back(f"/inbox/{conversation_id}", done=f"agent_{action}d")


@post(f"{_PATH}/status", **_WRITE)
async def change_status(
    conversation_id: FromPath[str], request: AnyRequest, visit: VisitDependency, app_state: StateDependency
) -> Answer:
    """Close the conversation, or open it again."""
    action = "reopen" if (await request.form()).get("do") == "reopen" else "close"
    try:
        await visit.api.send("POST", f"{_of(conversation_id)}/{action}")
    except ApiProblem as problem:
        return await _page(visit, app_state, conversation_id, problem=problem)
    return visit.back(f"/inbox/{conversation_id}", done="reopened" if action == "reopen" else "closed")


HANDLERS = (
    conversation,
    send_text,
    send_template,
    send_file,
    on_message,
    change_labels,
    change_notes,
    assign,
    change_agent,
    change_status,
)
