"""Which model answers for an agent."""

from __future__ import annotations

from collections.abc import Callable

from tellwire.agents.chat_model import ChatModel
from tellwire.agents.ports import Model
from tellwire.agents.scripted import ScriptedModel
from tellwire.agents.settings import SCRIPTED, settings_of
from tellwire.model.agents import Agent
from tellwire.ports.http_out import Sender


def models_over(models: Sender, tools: Sender) -> Callable[[Agent], Model]:
    """Return what gives the model that an agent's settings name: one over HTTP, or the scripted one.

    Args:
        models: the sender that models are asked with; its guard says which addresses they may have.
        tools: the one that their tools are called with.
    """
    chat, scripted = ChatModel(models, tools), ScriptedModel()

    def model_of(agent: Agent) -> Model:
        return scripted if settings_of(agent).model == SCRIPTED else chat

    return model_of
