"""One run: look, judge, and, when nothing speaks against it, step after step."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from omnibridge.clock import SystemClock
from omnibridge.config_values import Secret
from omnibridge.doctor import reach
from omnibridge.doctor.finding import HUB, Finding, problem
from omnibridge.doctor.probe import Prober
from omnibridge.rocketchat.calls import Credentials
from omnibridge.setup import accounts, external, fields, provisioner, webhook
from omnibridge.setup.admin import SetupFailed
from omnibridge.setup.judge import judge
from omnibridge.setup.look import Seen, see
from omnibridge.setup.step import Step, Work
from omnibridge.setup.wish import Wish

State = Literal["would", "done", "failed", "not done"]


@dataclass
class Report:
    """steps: (step, what became of it). seen: empty before anything could be read."""

    workspace: str
    findings: list[Finding]
    steps: list[tuple[Step, State]] = field(default_factory=list)
    seen: Seen | None = None
    is_dry: bool = False

    @property
    def exit_code(self) -> int:
        """0 done, or nothing to do; 1 something is wrong, or was not done."""
        is_wrong = any(each.status == "problem" for each in self.findings)
        return int(is_wrong or any(state in ("failed", "not done") for _, state in self.steps))

    def as_json(self) -> dict[str, Any]:
        return {
            "workspace": self.workspace,
            "dry_run": self.is_dry,
            "checks": [each.as_json() for each in self.findings],
            "steps": [{"step": each.name, "what": each.text, "state": state} for each, state in self.steps],
        }


async def set_up(work: Work, *, dry_run: bool, new_tokens: bool) -> Report:
    """Raises ConfigError when something that only the admin knows is missing."""
    wish, record = work.wish, work.record
    prober = Prober(wish.url, work.admin.credentials, "--url")
    try:
        seen = await see(wish, prober, SystemClock())
    finally:
        await prober.aclose()
    if not seen.accounts:  # not reached, or not logged in
        return Report(wish.name, judge(wish, seen, (), record), seen=seen, is_dry=dry_run)
    token = webhook.token_of(wish, seen.hub)
    work.webhook_token = Secret(token)
    asked_with = external.token_of(wish, seen) if wish.external else ""
    work.external_token = Secret(asked_with)
    seen.planned = external.plan(wish, seen)
    steps = [
        *provisioner.steps(seen, record),
        *fields.steps(wish, seen),
        *accounts.steps(wish, seen, record, write=work.write, new_tokens=new_tokens),
        *webhook.steps(wish, seen, record, token, write=work.write),
        *external.steps(wish, seen, record, asked_with, write=work.write),
    ]
    needs = [("view-livechat-webhooks", "sends the test"), *(need for each in steps for need in each.needs.items())]
    makes_tokens = any(each.name.startswith("token of ") for each in steps)
    findings = judge(wish, seen, needs, record, makes_tokens=makes_tokens)
    told = (fields.check(wish, seen), webhook.check(wish, seen), external.check(wish, seen))
    findings += [each for each in told if each]
    report = Report(wish.name, findings, [(each, "would") for each in steps], seen, dry_run)
    if dry_run:
        return report
    if any(each.status == "problem" for each in findings):
        report.steps = [(each, "not done") for each in steps]
        return report
    if await carry_out(steps, work, report):
        url = webhook.address(wish, seen.hub)
        report.findings.append(await webhook.test(url, work, has_changed=bool(steps)))
        if wish.external:
            report.findings.append(await external.test(wish, seen, asked_with))
    return report


async def unreachable(wish: Wish) -> list[Finding]:
    """Why no supported Rocket.Chat answers; empty when one does. Asks for nothing that needs a log-in."""
    prober = Prober(wish.url, Credentials("", ""), "--url")
    try:
        seen = await see(wish, prober, SystemClock())
    finally:
        await prober.aclose()
    found = [each for each in (check(seen.hub) for check in reach.CHECKS) if each]
    return found if any(each.status == "problem" for each in found) else []


async def carry_out(steps: list[Step], work: Work, report: Report) -> bool:
    """In order, up to the first that fails; what follows would build on it."""
    report.steps = [(each, "not done") for each in steps]
    for n, step in enumerate(steps):
        try:
            await step.do(work)
        except (SetupFailed, OSError) as exc:
            do = exc.do if isinstance(exc, SetupFailed) else "mend it and run setup again: it goes on where it stopped"
            report.steps[n] = (step, "failed")
            report.findings.append(problem(step.name, HUB, f"{step.text}: {exc}", do))
            return False
        report.steps[n] = (step, "done")
    return True
