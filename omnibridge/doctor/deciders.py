"""Rules that ask an external system about new visitors, where the hub gives them to agents by itself."""

from __future__ import annotations

from omnibridge.config import Settings
from omnibridge.doctor.finding import OURS, Finding, look, problem
from omnibridge.doctor.view import HubView
from omnibridge.rocketchat.client import CHOOSING
from omnibridge.routing.rules import RuleSet


def outvoted(settings: Settings, rules: RuleSet | None, views: list[HubView]) -> list[Finding]:
    """Per workspace: answers that never count; else what to know of those that do."""
    asked = rules.asked_at_start if rules else {}
    over = {each.name: each.over_auto_selection for each in settings.decider}
    over |= {each.name: each.over_auto_selection for each in settings.router}
    found: list[Finding] = []
    for view in views:
        method = view.setting("Livechat_Routing_Method")
        if method not in CHOOSING or not asked:
            continue
        for name, rule in asked.items():
            if not over.get(name, True):
                why = f"rule {rule} asks decider:{name}, but by {method} visitors are given away before it answers"
                do = f"over_auto_selection = true of {name}, or `omnibridge setup --external`"
                found.append(problem("decider rules", OURS, why, do).about(view.settings.name))
        if all(over.get(name, True) for name in asked):
            why = f"by {method} an agent gets each new visitor first, and who is decided after him, until staff writes"
            do = "nothing, or `omnibridge setup --external`: then no agent sees a visitor before it is decided"
            found.append(look("decider rules", OURS, why, do).about(view.settings.name))
    return found
