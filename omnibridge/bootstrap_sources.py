"""What tells of a workspace besides its webhooks: the reconciler, and the realtime connection where it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from omnibridge.bootstrap_common import Common
from omnibridge.config import Settings, WorkspaceSettings
from omnibridge.engine.hub import Hub
from omnibridge.engine.lanes import Lanes
from omnibridge.engine.live import LiveIntake
from omnibridge.engine.reconciler import Reconciler
from omnibridge.engine.typing_notices import VisitorTyping

if TYPE_CHECKING:
    from omnibridge.rocketchat.realtime.listener import Listener

GAP_SETTLE_MS = 2_000
"""What is younger after a gap of the realtime connection is left to its webhook, where webhooks come at all."""


def windows_of(settings: Settings) -> dict[str, int]:
    """Workspace -> its reorder window in ms. A live realtime connection sets it to 0."""
    return {
        each.name: settings.engine.reorder_window_ms if each.reorder_window_ms is None else each.reorder_window_ms
        for each in settings.workspace
    }


class Sources:
    """Of every workspace. windows: as the lanes have them. in_background: runs work until the service stops."""

    def __init__(
        self,
        common: Common,
        lanes: Lanes,
        windows: dict[str, int],
        typed: VisitorTyping,
        in_background: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._settings, self._database, self._ids = common.settings, common.database, common.ids
        self._clock, self._counters = common.clock, common.counters
        self._lanes, self._windows, self._typed, self._in_background = lanes, windows, typed, in_background
        self._reconcilers: list[Reconciler] = []
        self._of: dict[str, Reconciler] = {}
        self._intakes: list[LiveIntake] = []
        self._listeners: list[Listener] = []
        common.counters.gauge(
            "reconciled_at_seconds",
            "When every workspace was last compared with its hub, Unix time; 0 = not yet",
            lambda: min((each.succeeded_at_ms / 1000 for each in self._reconcilers), default=0.0),
        )
        common.counters.gauge(
            "realtime_connected",
            "Realtime connections that are live; as many as workspaces with realtime = true when all is well",
            lambda: float(sum(each.is_live for each in self._listeners)),
        )

    def begin(self, workspace: WorkspaceSettings, hub: Hub) -> None:
        """Compare it from now on, and listen to it."""
        every_s = self._settings.engine.reconcile_every_s
        reconciler = Reconciler(
            workspace.name, hub.client, self._database, self._lanes, self._ids, self._clock, self._counters, every_s
        )
        hub.client.when_back(reconciler.ask)
        self._reconcilers.append(reconciler)
        self._of[workspace.name] = reconciler
        self._in_background(reconciler.serve())
        if workspace.realtime:
            self._listen(workspace, hub, reconciler)

    def compare(self, workspace: str) -> None:
        """Something of it was missed: compare it soon. Before `begin` that is not needed: it begins with it."""
        if workspace in self._of:
            self._of[workspace].ask(0)

    def _listen(self, workspace: WorkspaceSettings, hub: Hub, reconciler: Reconciler) -> None:
        """What the connection misses, the reconciler finds."""
        from omnibridge.rocketchat.realtime.listener import Listener  # loads a library that only this needs

        name, counters = workspace.name, self._counters
        intake = LiveIntake(
            name, hub.client, self._database, self._lanes, self._ids, self._clock, counters, self._windows,
            lambda: reconciler.ask(GAP_SETTLE_MS if counters.value("observations", "webhook") else 0),
        )  # fmt: skip
        token = workspace.auth_token.get_secret_value()
        listener = Listener(
            name, workspace.url, workspace.user_id, token, list(hub.bot_ids.values()),
            intake, lambda counter, *labels: counters.add(counter, 1, name, *labels),
        )  # fmt: skip
        intake.left, intake.typed = listener.leave, partial(self._typed.heard, name)
        self._intakes.append(intake)
        self._listeners.append(listener)
        self._in_background(listener.serve())

    async def aclose(self) -> None:
        for intake in self._intakes:
            await intake.aclose()
