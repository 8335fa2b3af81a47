"""The story of `omnibridge demo --story salesforce`: from a bot to Salesforce's agents and back, and what is kept.

First by Messaging, then by Live Agent. It reaches bridge, hub and simulators over HTTP, through the stage that the demo
gives it, and judges by the ledgers of hub, desk and CRM.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from connectors.salesforce_messaging.story import cast
from connectors.salesforce_messaging.story.chapters import Chapter, LiveAgent, Messaging, agents_csv
from connectors.salesforce_messaging.story.configuration import DEPARTMENT, MAPPING, configuration, rules
from connectors.salesforce_messaging.story.evidence import Evidence, gathered
from connectors.salesforce_messaging.story.verdict import CHECKS, COUNTS, judge, kept, summed
from omnibridge.connector import ConfigError

if TYPE_CHECKING:
    from omnibridge.demo_stage import Stage

__all__ = ["play", "set_up"]


async def play(stage: Stage) -> dict[str, Any]:
    """The verdict. Raises ConfigError where a part is not installed."""
    customers = await set_up(stage)
    screen = stage.screen
    screen.tell(f"Simulated Rocket.Chat at {stage.hub.url}, the bridge at {stage.bridge_url}.")
    for name in ("salesforce_messaging", "salesforce_live_agent", "salesforce_crm"):
        screen.tell(f"{name}, simulated: {stage.told[f'{name}_url']}/_sandbox/ledger")
    screen.tell("Two agents were imported with their pictures; nobody of them is a user of Rocket.Chat yet.")
    parts: dict[str, dict[str, Any]] = {}
    for kind, customer in ((Messaging, cast.VERA), (LiveAgent, cast.WALTER)):
        screen.tell()
        chapter: Chapter = kind(stage, stage.simulator(kind.simulator), customer)
        problem = ""
        try:
            await chapter.play()
        except (TimeoutError, RuntimeError) as exc:
            problem = str(exc)
            screen.tell(f"!! {problem}")
        parts[chapter.name] = dict.fromkeys(CHECKS, False) | dict.fromkeys(COUNTS, 0)
        if chapter.visitor.rid:
            evidence = await gathered(chapter, customers[customer.chat_key])
            parts[chapter.name] = judge(evidence)
            _tell(stage, evidence, parts[chapter.name])
        if problem:
            parts[chapter.name]["problem"] = problem
    verdict = summed(parts)
    screen.tell()
    screen.tell("Live Agent has no choices and no files of agents: there a menu is text, and a file is a link.")
    screen.tell()
    screen.tell(
        f"2 conversations; lost {verdict['lost']}, doubled {verdict['doubled']}, "
        f"out of order {verdict['out_of_order']}. {'Everything holds.' if verdict['ok'] else 'NOT everything holds.'}"
    )
    if stage.stays:
        for desk in ("salesforce_messaging", "salesforce_live_agent"):
            await stage.simulator(desk).control(accepts=True, echoes=True)
        screen.tell('To "talk to a human" brings an agent, who repeats what you say.')
    return verdict


async def set_up(stage: Stage, workspace: str = "") -> dict[str, str]:
    """The bridge runs and knows its agents. The CRM's ids of the customers, by their keys.

    workspace: more TOML of the workspace. Raises ConfigError where a part is not installed."""
    if find_spec("simple_salesforce") is None or find_spec("phonenumbers") is None:
        raise ConfigError("this story needs the extra `salesforce`: pip install 'omnibridge[salesforce]'")
    users = {
        "assistant": stage.bot_user("assistant", "Assistant"),
        "concierge": stage.bot_user("concierge", "Concierge"),
        "messaging": stage.bot_user("messaging", "Our team"),
        "live_agent": stage.bot_user("live_agent", "Our support"),
    }
    department = stage.department(DEPARTMENT, "assistant")
    await stage.hub.control(custom_fields={"chat_key": "visitor", "crm_link": "room"})
    contacts = [
        ["Contact", {"LastName": each.name, "Email": each.email, "Chat_Key__c": each.chat_key, "VIP__c": True}]
        for each in (cast.VERA, cast.WALTER)
    ]
    made = await stage.simulator("salesforce_crm").call("POST", "/_sandbox/control", {"create": contacts})
    text = configuration(stage.told, users, f"{stage.workspace()}\n{workspace}")
    await stage.begin(
        {
            "omnibridge.toml": text,
            "rules.toml": rules(department),
            "crm.toml": MAPPING,
            "agents.csv": agents_csv(stage.face),
        }
    )
    await stage.command("agents", "import", "agents.csv")
    await stage.command("agents", "sync")
    return dict(zip((cast.VERA.chat_key, cast.WALTER.chat_key), made["ids"], strict=True))


def _tell(stage: Stage, evidence: Evidence, found: dict[str, Any]) -> None:
    """What the CRM has of it, and which steps hold."""
    tell = stage.screen.tell
    for line in kept(evidence):
        tell(f"  [CRM] {line}")
    for name in CHECKS:
        tell(f"  {'yes' if found[name] else 'NO '}  {name.replace('_', ' ')}")
