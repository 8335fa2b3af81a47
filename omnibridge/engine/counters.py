"""Counting in plain integers on the hot path; prometheus sees them on a scrape."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

HELP = {
    "observations": "Observations journalled, by source and kind",
    "observations_duplicate": "Observations that led to no new event",
    "observations_skipped": "Observations recorded but not acted on, by kind",
    "observations_quarantined": "Observations that could not be read",
    "intake_refused": "Inbound requests not taken, by status",
    "events": "Events derived, by kind",
    "messages_late": "Visitor messages older than one released before, or recovered",
    "messages_recovered": "Messages that no webhook told, found in the hub's history, by author",
    "reconcile_runs": "Comparisons with the hub, by outcome",
    "reconcile_rooms": "Rooms compared with the hub's list",
    "reconcile_histories": "Histories of rooms read from the hub",
    "realtime_frames": "Frames of realtime connections, by workspace and outcome (taken, or why not)",
    "realtime_connects": "Realtime connections that became live, by workspace",
    "realtime_gaps": "Realtime connections that were lost after they were live, by workspace",
    "realtime_failures": "Realtime connections that failed or ended, by workspace",
    "realtime_refused": "Streams that the hub refused, by workspace and stream",
    "realtime_missed": "Frames that were not kept and are left to the reconciler, by workspace and cause",
    "realtime_typing": "Times that somebody began or stopped typing",
    "typing_told": "Times that a connector was told that the visitor types, by outcome",
    "typing_shown": "Times that somebody of ours was to be shown to type, by workspace and outcome",
    "decisions": "Decisions made",
    "deliveries_done": "Deliveries settled, by command",
    "deliveries_refused": "Deliveries not sent because control had changed, by command",
    "deliveries_buried": "Deliveries given up, by command and code",
    "deliveries_retried": "Attempts that failed and are tried again, by command and code",
    "deliveries_uncertain": "Attempts of which the outcome was unknown, by command",
    "deliveries_resolved": "Uncertain attempts found to have arrived, by command",
    "interactions_refused": "Clicks that fit nothing that was shown, by cause",
    "updates": "Messages changed after they were shown, by way (app, text, posted anew)",
    "responses": "Posts to a response_url, by outcome",
    "room_reads": "Rooms read because reports contradicted each other",
    "content_losses": "What bots sent that could not be shown as it was meant, by connection, kind and intent",
    "purged": "Rows deleted because they were old, by kind",
    "agents": "External agents asked for, and what was done with their users, by outcome",
    "agents_alarms": "What an operator should look at about external agents, by kind",
    "presence": "Availability of agents told to presence_url, by outcome",
    "assignments_stray": "Visitors that the hub gave to users who serve only by decision; they are requeued",
    "external_routing": "Questions of the hub's External routing method, by outcome",
    "bot_api": "Calls of the bot API, by method and status",
    "findings": "Findings of analysers, by analyser and what became of them",
    "analysis_failures": "Calls of analysers that failed, by analyser and error",
    "sessions_unreadable": "Kept sessions of desks that nothing could be made of at a start, by connection",
    "sessions_interrupted": "Times that following a desk's session ended with an error, by connection",
    "interactions_sent": "Interactions that clients sent to bots, by bot",
    "files": "Files of visitors and bots, by outcome",
    "routing": "Questions to routing systems, and work that we route for them, by router and outcome",
    "connector": "Counted by a connector, by connection and name",
}
"""Every counter, with its help text; `_total` is added on export."""

_LABELS = {
    "observations": ("source", "kind"),
    "files": ("outcome",),
    "observations_skipped": ("kind",),
    "intake_refused": ("status",),
    "events": ("kind",),
    "messages_recovered": ("author",),
    "reconcile_runs": ("outcome",),
    "realtime_frames": ("workspace", "outcome"),
    "realtime_connects": ("workspace",),
    "realtime_gaps": ("workspace",),
    "realtime_failures": ("workspace",),
    "realtime_refused": ("workspace", "stream"),
    "realtime_missed": ("workspace", "why"),
    "typing_told": ("outcome",),
    "typing_shown": ("workspace", "outcome"),
    "deliveries_done": ("command",),
    "deliveries_refused": ("command",),
    "deliveries_buried": ("command", "code"),
    "deliveries_retried": ("command", "code"),
    "deliveries_uncertain": ("command",),
    "deliveries_resolved": ("command",),
    "external_routing": ("outcome",),
    "content_losses": ("connection", "loss", "intent"),
    "interactions_refused": ("code",),
    "updates": ("way",),
    "responses": ("outcome",),
    "purged": ("kind",),
    "agents": ("outcome",),
    "agents_alarms": ("kind",),
    "presence": ("outcome",),
    "bot_api": ("method", "status"),
    "findings": ("analyser", "outcome"),
    "analysis_failures": ("analyser", "error"),
    "sessions_unreadable": ("connection",),
    "sessions_interrupted": ("connection",),
    "interactions_sent": ("bot",),
    "connector": ("connection", "name"),
}

_MOST_SERIES = 2_000
"""Labels can come from outside (event types): beyond this many, new ones are counted as `other`."""


class Counters:
    """`add("events", 1, "MessagePosted")`. `gauge(name, help, read)`: read when scraped."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._gauges: list[tuple[str, str, Callable[[], float]]] = []
        self._registry = CollectorRegistry()
        self._registry.register(self)

    def add(self, name: str, n: int = 1, *labels: str) -> None:
        key = (name, *labels)
        if key not in self._counts and len(self._counts) >= _MOST_SERIES:
            key = (name, *("other" for _ in labels))
        self._counts[key] += n

    def value(self, name: str, *labels: str) -> int:
        """Sum over all labels that begin with those given."""
        wanted = (name, *labels)
        return sum(n for key, n in self._counts.items() if key[: len(wanted)] == wanted)

    def gauge(self, name: str, help_text: str, read: Callable[[], float]) -> None:
        self._gauges.append((name, help_text, read))

    def collect(self) -> Iterable[CounterMetricFamily | GaugeMetricFamily]:
        """Called by prometheus-client."""
        for name, help_text in HELP.items():
            family = CounterMetricFamily(f"omnibridge_{name}", help_text, labels=_LABELS.get(name, ()))
            for key, n in list(self._counts.items()):
                if key[0] == name:
                    family.add_metric(key[1:], n)
            yield family
        for name, help_text, read in self._gauges:
            yield GaugeMetricFamily(f"omnibridge_{name}", help_text, value=read())

    def exposition(self) -> bytes:
        """The text that `/metrics` answers."""
        return generate_latest(self._registry)
