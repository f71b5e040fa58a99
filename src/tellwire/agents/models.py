"""Chooses the model that answers for an agent."""

from __future__ import annotations

from collections.abc import Callable

from tellwire.agents.chat_model import ChatModel
from tellwire.agents.ports import Model
from tellwire.agents.scripted import ScriptedModel
from tellwire.agents.settings import is_scripted
from tellwire.model.agents import Agent
from tellwire.ports.http_out import Sender


def model_selector(models: Sender, tools: Sender) -> Callable[[Agent], Model]:
    """Return a function that gives the model that an agent's settings name: one over HTTP, or the scripted one.

    Args:
        models: sends requests to models; its guard decides which addresses they may have.
        tools: sends requests to tools.
    """
    chat, scripted = ChatModel(models, tools), ScriptedModel()

    def model_of(agent: Agent) -> Model:
        return scripted if is_scripted(agent) else chat

    return model_of
