"""The bot API of one node: its parts put together, for the composition root."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.fernet import Fernet
from starlette.routing import Route

from omnibridge.botapi.connector import BotApiConnector
from omnibridge.botapi.endpoint import BotApiEndpoint
from omnibridge.botapi.files import FilePort, Files
from omnibridge.botapi.methods import Methods
from omnibridge.botapi.orders import Orders
from omnibridge.botapi.polling import Polling
from omnibridge.botapi.push import Pushers
from omnibridge.botapi.queue import UpdateQueue
from omnibridge.botapi.sealing import Seal
from omnibridge.botapi.speaking import Speaking
from omnibridge.botapi.webhooks import Webhooks
from omnibridge.clock import Clock
from omnibridge.connector import Connector
from omnibridge.engine.counters import Counters
from omnibridge.engine.ids import IdSequence
from omnibridge.engine.lanes import Lanes
from omnibridge.storage.database import Database


class BotApi:
    """connectors: all of the node. workspaces: connection -> its workspace. keys: for secrets at rest, by name."""

    def __init__(
        self,
        connectors: Mapping[str, Connector],
        workspaces: Mapping[str, str],
        database: Database,
        lanes: Lanes,
        ids: IdSequence,
        clock: Clock,
        counters: Counters,
        keys: Mapping[str, Fernet] | None = None,
        files: FilePort | None = None,
    ) -> None:
        ours = {name: each for name, each in connectors.items() if isinstance(each, BotApiConnector)}
        names = {name: each.settings.display_name or name for name, each in ours.items()}
        self.ids = ids
        self.queue = UpdateQueue(
            database, clock, names, lambda connection, name: counters.add("connector", 1, connection, name)
        )
        speaking = Speaking(database, lanes, ids, clock, workspaces)
        self._polling = Polling(database, self.queue)
        seal = Seal(keys or {}, database.secret)
        self._webhooks = Webhooks(database, ours, seal, self.queue.ring)
        self._files = Files(database, files, dict(workspaces)) if files is not None else None
        self.methods = Methods(database, self.queue, self._polling, speaking, self._webhooks, ours, self._files)
        self._endpoint = BotApiEndpoint(database, self.methods, frozenset(ours), counters)
        self.orders = Orders(database, clock.now_ms, self.queue.ring)
        self._pushers = Pushers(ours, database, self.queue, self.methods, clock, seal)
        self._is_used = bool(ours)
        for each in ours.values():
            each.use(self.queue)

    def routes(self) -> list[Route]:
        """None when no connection is of this kind."""
        if not self._is_used:
            return []
        of_files = [Route("/file/bot{token}/{path}", self._files)] if self._files is not None else []
        return [*self._endpoint.routes(), *of_files]

    def end_polls(self) -> None:
        """Before the node waits for its requests to end."""
        self._polling.end()

    async def run_for_ever(self) -> None:
        """Call webhooks, until cancelled."""
        await self._webhooks.reseal()
        await self._pushers.run_for_ever()
