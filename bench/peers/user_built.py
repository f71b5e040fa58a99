"""The user-built peer: what a competent team writes in an afternoon with the stack that everybody knows.

FastAPI, SQLAlchemy 2 ORM on psycopg 3, PostgreSQL, Celery on Redis, requests. The endpoint is a plain function (FastAPI
runs it in its thread pool), commits message and conversation, then queues one Celery task a message; the worker
loads the message, posts it signed, marks it delivered. Set up in its favour: upserts in place of look-ups, connection
pools on both sides, one `requests.Session` a worker process (keep-alive), no result backend, no access log,
uvloop and httptools, no gossip between workers. As safe as Celery makes it: `acks_late`, autoretry with back-off;
its Redis keeps nothing on disk, and a crash between the commit and the queueing loses the delivery.

Tables: `python -m bench.peers.user_built`. Environment: BENCH_POSTGRES, BENCH_REDIS, BENCH_SINK, BENCH_APP_SECRET,
BENCH_SIGNING_SECRET, BENCH_WORKER_READY (a file that the worker makes when it is ready).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import requests
from celery import Celery
from celery.signals import worker_process_init, worker_ready
from fastapi import Depends, FastAPI, HTTPException, Request
from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, DateTime, ForeignKey, UniqueConstraint, create_engine, func
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

APP_SECRET = os.environ["BENCH_APP_SECRET"].encode()
KEY = base64.b64decode(os.environ["BENCH_SIGNING_SECRET"].removeprefix("whsec_"))
SINK = os.environ["BENCH_SINK"]

engine = create_engine(os.environ["BENCH_POSTGRES"], pool_size=20, max_overflow=20)
http = requests.Session()
app = FastAPI()
queue = Celery("user_built", broker=os.environ["BENCH_REDIS"])
queue.conf.update(task_acks_late=True, task_ignore_result=True, worker_prefetch_multiplier=4)


class Table(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSONB, datetime: DateTime(timezone=True)}  # noqa: RUF012


class ConversationRow(Table):
    __tablename__ = "conversations"
    __table_args__ = (UniqueConstraint("account", "contact"),)
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    account: Mapped[str]
    contact: Mapped[str]
    last_at: Mapped[int] = mapped_column(BigInteger)
    messages: Mapped[int]


class MessageRow(Table):
    __tablename__ = "messages"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    conversation_id: Mapped[int] = mapped_column(ForeignKey("conversations.id"), index=True)
    wamid: Mapped[str] = mapped_column(unique=True)
    at: Mapped[int] = mapped_column(BigInteger)
    content: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    delivered_at: Mapped[datetime | None]


class Metadata(BaseModel):
    phone_number_id: str


class Text(BaseModel):
    body: str


class Message(BaseModel):
    id: str
    sender: str = Field(alias="from")
    timestamp: int
    type: str
    text: Text | None = None


class Value(BaseModel):
    metadata: Metadata
    messages: list[Message] = []


class Change(BaseModel):
    field: str
    value: Value


class Entry(BaseModel):
    id: str
    changes: list[Change]


class Webhook(BaseModel):
    object: str
    entry: list[Entry]


async def signed_body(request: Request) -> bytes:
    body = await request.body()
    wanted = "sha256=" + hmac.new(APP_SECRET, body, hashlib.sha256).hexdigest()
    if not hmac.compare_digest(wanted, request.headers.get("x-hub-signature-256", "")):
        raise HTTPException(401)
    return body


@app.post("/webhook")
def webhook(body: Annotated[bytes, Depends(signed_body)]) -> dict[str, bool]:
    hook = Webhook.model_validate_json(body)
    with Session(engine) as session:
        new = [
            stored
            for entry in hook.entry
            for change in entry.changes
            for message in change.value.messages
            if (stored := store(session, change.value.metadata.phone_number_id, message)) is not None
        ]
        session.commit()
    for message_id in new:
        deliver.delay(message_id)
    return {"ok": True}


def store(session: Session, account: str, message: Message) -> int | None:
    """Upsert the conversation and insert the message; return its id, None when it existed already."""
    conversation = insert(ConversationRow).values(
        account=account, contact=message.sender, last_at=message.timestamp, messages=1
    )
    conversation = conversation.on_conflict_do_update(
        index_elements=["account", "contact"],
        set_={"last_at": conversation.excluded.last_at, "messages": ConversationRow.messages + 1},
    )
    conversation_id = session.scalars(conversation.returning(ConversationRow.id)).one()
    row = insert(MessageRow).values(
        conversation_id=conversation_id,
        wamid=message.id,
        at=message.timestamp,
        content=message.model_dump(by_alias=True, exclude_none=True),
    )
    return session.scalars(row.on_conflict_do_nothing(index_elements=["wamid"]).returning(MessageRow.id)).one_or_none()


@queue.task(autoretry_for=(Exception,), retry_backoff=True, max_retries=8)
def deliver(message_id: int) -> None:
    with Session(engine) as session:
        message = session.get_one(MessageRow, message_id)
        body = json.dumps({"entity": "messages", "action": "insert", "data": message.content}).encode()
        at = str(int(time.time()))
        signed = b".".join((message.wamid.encode(), at.encode(), body))
        signature = base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
        headers = {
            "content-type": "application/json",
            "webhook-id": message.wamid,
            "webhook-timestamp": at,
            "webhook-signature": f"v1,{signature}",
        }
        http.post(SINK, data=body, headers=headers, timeout=15).raise_for_status()
        message.delivered_at = func.now()
        session.commit()


@worker_process_init.connect
def forget_connections(**_: object) -> None:
    engine.dispose(close=False)


@worker_ready.connect
def announce(**_: object) -> None:
    Path(os.environ["BENCH_WORKER_READY"]).touch()


if __name__ == "__main__":
    Table.metadata.create_all(engine)
