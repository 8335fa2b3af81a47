"""Settings of a `[[router]]` of kind `salesforce_omni`."""

from __future__ import annotations

import re
from typing import Any, Literal

import msgspec

from connectors.salesforce_crm.omni.events.address import HOST, TOPICS, check_topics, read_address
from connectors.salesforce_crm.settings import OrgSettings
from connectors.salesforce_crm.trouble import is_id
from connectors.salesforce_crm.values import Value, ValueProblem, read_value

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")


class SalesforceOmniSettings(OrgSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How conversations are put into Omni-Channel, and for which queues we route. Ids are of 15 or 18 characters.

    queue: whose people serve; or channel and skills. object, key_field, record: the work item, found again by its
    external id. fields: what it is made with, as in a mapping file. close: fields that are set when it is over.
    taken: the status of AgentWork that decides. routes: queues of the External model that we route for.

    events: `pubsub` also listens to the Pub/Sub API at pubsub_address, for what is told of pubsub_topics.
    """

    object: str = "Case"
    key_field: str = "Omnibridge_Key__c"
    record: str = "case"
    queue: str = ""
    channel: str = ""
    skills: dict[str, float] = msgspec.field(default_factory=dict)
    priority: int = 0
    fields: dict[str, Any] = msgspec.field(default_factory=dict)
    close: dict[str, Any] = msgspec.field(default_factory=dict)
    taken: Literal["Opened", "Assigned"] = "Opened"
    routes: tuple[str, ...] = ()
    events: Literal["poll", "pubsub"] = "poll"
    pubsub_address: str = HOST
    pubsub_topics: tuple[str, ...] = TOPICS

    def __post_init__(self) -> None:
        OrgSettings.__post_init__(self)
        for key, names in (("object", (self.object,)), ("key_field", (self.key_field,)), ("record", (self.record,)),
                           ("fields", self.fields), ("close", self.close)):  # fmt: skip
            if wrong := [each for each in names if not _NAME.fullmatch(each)]:
                raise ValueError(f"{key}: {wrong[0]!r} is no API name")
        for key, ids in (("queue", (self.queue,)), ("channel", (self.channel,)), ("skills", self.skills),
                         ("routes", self.routes)):  # fmt: skip
            if wrong := [each for each in ids if each and not is_id(each)]:
                raise ValueError(f"{key}: {wrong[0]!r} is no id of 15 or 18 letters and digits")
        if self.queue and (self.channel or self.skills):
            raise ValueError("give queue, or channel and skills: with a queue, Salesforce makes the routing itself")
        if self.skills and not self.channel:
            raise ValueError("skills needs channel, the id of the service channel")
        if self.channel and not self.skills:
            raise ValueError("channel needs skills: work without them is routed by a queue")
        if not (self.queue or self.channel or self.routes):
            raise ValueError("nothing to do: give queue (or channel and skills), routes, or both")
        read_address(self.pubsub_address)
        check_topics(self.pubsub_topics)
        for name, raw in {**self.fields, **self.close}.items():
            try:
                value = read_value(raw)
            except ValueProblem as exc:
                raise ValueError(f"{name}: {exc}") from None
            if value.record:
                raise ValueError(f"{name}: records are for the mapping of a [[crm]]")

    @property
    def decides(self) -> bool:
        """Whether conversations may be put there."""
        return bool(self.queue or self.channel)

    def values(self, fields: dict[str, Any]) -> dict[str, Value]:
        return {name: read_value(raw) for name, raw in fields.items()}
