"""PURE. What an AI agent made of a customer's message, and what we told Meta of it."""

from __future__ import annotations

from collections.abc import Iterator

from tellwire.journeys.records import Records
from tellwire.journeys.step import Step, StepState, age, sentence
from tellwire.model.agents import Agent, AgentRun, RunOutcome

_OUTCOMES: dict[RunOutcome, tuple[StepState, str, str]] = {
    "replied": ("done", "answered", ""),
    "handed_over": ("done", "handed over to a person", "Answer the customer; then resume the agent."),
    "superseded": ("done", "did not answer, because the customer wrote again first", ""),
    "retrying": ("waiting", "failed, and tries again", "Look at the agent's model and key, if this goes on."),
    "failed": ("failed", "could not answer", "Try the agent out (POST /v1/agents/{id}/try), and mend what it says."),
    "declined": ("missing", "did not answer", "If it should have, look at its budget and its settings."),
}


def agents_turn(records: Records) -> Iterator[Step]:
    """Yield the turn of the agent that answers the number's customers, if it has one."""
    message, account = records.message, records.account
    if message is None or message.direction != "incoming":
        return
    if "read" in message.status:
        yield Step(kind="read", state="done", title="You marked it as read", at=message.status["read"])
    if records.run is not None:
        yield _ran(records, records.run)
        return
    agent = records.agents.get(account.agent_id) if account else None
    if agent is None or agent.kind != "ai" or message.history:
        return
    yield from _to_come(records, agent)


def _to_come(records: Records, agent: Agent) -> Iterator[Step]:
    refs = {"agent_id": agent.id}
    if records.turn is not None:
        left = records.turn.due_at - records.now
        when = f"Its turn is in {age(left)}." if left > 0 else "Its turn is now."
        yield Step(
            kind="agent",
            state="waiting",
            title=f"Agent {agent.name} is going to answer",
            at=records.turn.created_at,
            detail=f"{when} It waits until the customer has paused.",
            refs=refs,
            waits=records.turn.due_at,
        )
    elif records.handover:
        yield Step(
            kind="agent",
            state="skipped",
            title=f"Agent {agent.name} is out of this conversation",
            detail=sentence(records.handover),
            remedy="Answer the customer, or resume the agent in the conversation.",
            refs=refs,
        )
    elif agent.state == "paused":
        title = f"Agent {agent.name} is paused"
        remedy = "Make the agent active again; it answers from the next message on."
        yield Step(kind="agent", state="skipped", title=title, remedy=remedy, refs=refs)


def _ran(records: Records, run: AgentRun) -> Step:
    agent = records.agents.get(run.agent_id)
    state, words, remedy = _OUTCOMES[run.outcome]
    name = f"Agent {agent.name}" if agent else "An agent that was deleted"
    refs = {"agent_id": run.agent_id} | ({"message_id": run.message_id} if run.message_id else {})
    at, detail = run.finished_at, sentence(run.detail)
    return Step(kind="agent", state=state, title=f"{name} {words}", at=at, detail=detail, remedy=remedy, refs=refs)
