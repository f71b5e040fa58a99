"""The ports of the background loops over any store; each call is one transaction."""

from __future__ import annotations

from collections.abc import Mapping

from tellwire.model.routing import NamesOf
from tellwire.stores.failure_store import SqlFailureStore
from tellwire.stores.health_store import SqlHealthStore
from tellwire.stores.query_runner import QueryRunner
from tellwire.stores.recovery_store import SqlRecoveryStore
from tellwire.stores.template_repository import SqlTemplateRepository
from tellwire.stores.work_queues.erasures import SqlErasures
from tellwire.stores.work_queues.held_items import SqlHeldItems
from tellwire.stores.work_queues.media import SqlMediaFiles
from tellwire.stores.work_queues.retention import SqlRetention
from tellwire.stores.work_queues.sends import SqlDueSends
from tellwire.stores.work_queues.turns import SqlAgentTurns


class WorkQueues:
    """The ports of all background loops over one store. `names`: names of events per payload format."""

    def __init__(self, store: QueryRunner, names: Mapping[str, NamesOf]) -> None:
        self.erasures = SqlErasures(store)
        self.failures = SqlFailureStore(store)
        self.health = SqlHealthStore(store)
        self.held_items = SqlHeldItems(store)
        self.media = SqlMediaFiles(store)
        self.recoveries = SqlRecoveryStore(store, names)
        self.retention = SqlRetention(store)
        self.sends = SqlDueSends(store)
        self.templates = SqlTemplateRepository(store)
        self.turns = SqlAgentTurns(store)
