"""Takes back what the record says, the last first. What somebody changed since then is left alone, and told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from omnibridge.clock import SystemClock
from omnibridge.doctor import reach
from omnibridge.doctor.custom_field import SETTING, WHERE
from omnibridge.doctor.finding import HUB, OURS, Finding, problem, warning
from omnibridge.doctor.hub_settings import ROUTING
from omnibridge.doctor.probe import Prober
from omnibridge.errors import ConfigError
from omnibridge.rocketchat.leaves import list_of, table_of, text_of
from omnibridge.setup import external, fields, provisioner, webhook
from omnibridge.setup.admin import SetupFailed
from omnibridge.setup.judge import admin_permissions
from omnibridge.setup.look import see
from omnibridge.setup.record import Change, Record, remove_secret
from omnibridge.setup.run import Report, carry_out
from omnibridge.setup.step import Step, Work, digest

Undo = Callable[[Work, Change, list[Finding]], Awaitable[None]]


async def undo(work: Work, *, dry_run: bool) -> Report:
    """The record is empty, and its file gone, when all of it was taken back."""
    wish, record = work.wish, work.record
    if strange := sorted({each.kind for each in record.changes} - set(_KINDS)):
        raise ConfigError(f"{record.path}: {', '.join(strange)}: of a newer omnibridge; undo with that one")
    prober = Prober(wish.url, work.admin.credentials, "--url")
    try:
        seen = await see(wish, prober, SystemClock())
        findings = [each for each in (check(seen.hub) for check in reach.CHECKS) if each]
        if seen.me is None or not seen.me.is_ok:
            do = "--admin-user-id and the token must be of one administrator"
            findings.append(problem("admin", HUB, "the admin is not logged in", do))
            return Report(wish.name, findings, seen=seen, is_dry=dry_run)
        findings += await _serving(record, prober)
    finally:
        await prober.aclose()
    told: list[Finding] = []
    steps = [_step(each, told) for each in reversed(record.changes)]
    findings.append(admin_permissions(seen, [need for each in steps for need in each.needs.items()]))
    report = Report(wish.name, findings, [(each, "would") for each in steps], seen, dry_run)
    if dry_run:
        return report
    if any(each.status == "problem" for each in findings):
        report.steps = [(each, "not done") for each in steps]
        return report
    await carry_out(steps, work, report)
    report.findings += told
    return report


async def _serving(record: Record, prober: Prober) -> list[Finding]:
    """Conversations of a user who is deleted would be left to nobody."""
    found = []
    for change in record.changes:
        identity = text_of(change.after.get("id"))
        if change.kind != "user" or not identity:
            continue
        answer = await prober.get("livechat/rooms", {"agents[]": identity, "open": "true", "count": "1"})
        if answer.body.get("rooms"):
            do = "stop `omnibridge serve`; forward or close them in Omnichannel > Contact Center, then undo again"
            found.append(problem("conversations", HUB, f"{change.name} serves open conversations", do))
    return found


def _step(change: Change, told: list[Finding]) -> Step:
    text, needs, do = _KINDS[change.kind]

    async def carry(work: Work) -> None:
        await do(work, change, told)
        work.record.remove(change)

    return Step(f"undo {change.kind} {change.name}", text.format(name=change.name), needs, carry)


async def _webhook(work: Work, change: Change, told: list[Finding]) -> None:
    """Setting by setting: those that still are as setup left them."""
    now = webhook.settings_in(await work.admin.get("livechat/integrations.settings"))
    ours = {name for name, value in change.after.items() if name in now and now[name] == value}
    back = {webhook.KEYS[name]: value for name, value in change.before.items() if name in ours and now[name] != value}
    if back:
        await work.admin.post("omnichannel/integrations", back, *webhook.NEEDS)
    differing = [name for name in change.before if name not in ours and now.get(name) != change.before[name]]
    if differing and change.is_done:
        found = f"{', '.join(differing)}: changed since setup, so left as it is"
        told.append(warning("undo webhook", HUB, found, "look at Omnichannel > Webhooks"))


async def _setting(work: Work, change: Change, told: list[Finding]) -> None:
    """One of the routing method's, unless somebody changed it since."""
    now, before = await external.read(work, change.name), change.before["value"]
    if now == change.after["value"]:
        if now != before:
            await external.write(work, change.name, before)
    elif now != before:
        found = f"{change.name}: changed since setup, so left as it is"
        told.append(warning("undo setting", HUB, found, f"look at {ROUTING}"))


async def _user(work: Work, change: Change, told: list[Finding]) -> None:
    """Only the one that we made: by id, or by the random address while the id was not known."""
    user = await _find(work, change.name)
    emails = [text_of(table_of(each).get("address")) for each in list_of(user.get("emails"))]
    identity = text_of(user.get("_id"))
    is_ours = change.after["id"] == identity if change.after.get("id") else change.after.get("email") in emails
    if not identity:
        return
    if not is_ours:
        found = f"{change.name} is not the user that setup made: left as it is"
        told.append(warning("undo user", HUB, found, "look at Workspace > Users"))
        return
    await work.admin.post("users.delete", {"userId": identity, "confirmRelinquish": True}, "delete-user")


async def _field(work: Work, change: Change, told: list[Finding]) -> None:
    value = (await work.admin.get(f"settings/{SETTING}")).get("value")
    now = value if isinstance(value, str) else ""
    before, after = str(change.before["text"]), str(change.after["text"])
    if now == before:
        return
    try:
        back = fields.without(now, change.name, before, after)
    except ValueError:
        found = f"{SETTING} is no JSON any more: left as it is"
        told.append(warning("undo field", HUB, found, f"take {change.name} out in {WHERE}"))
        return
    await work.admin.post(f"settings/{SETTING}", {"value": back}, *fields.NEEDS)


async def _permissions(work: Work, change: Change, told: list[Finding]) -> None:
    """Our role goes out of the lists; what others put there stays."""
    identity, now = text_of(change.after.get("id")), await provisioner.holders(work)
    held = {name: now[name] for name in change.after.get("names", []) if identity in now.get(name, ())}
    if held:
        given = [{"_id": name, "roles": sorted(roles - {identity})} for name, roles in held.items()]
        await work.admin.post("permissions.update", {"permissions": given}, *provisioner.NEEDS)


async def _role(work: Work, change: Change, told: list[Finding]) -> None:
    identity = await provisioner.role_id(work)
    if not identity:
        return
    try:
        await work.admin.post("roles.delete", {"roleId": identity}, *provisioner.NEEDS)
    except SetupFailed as exc:
        if exc.code != "error-role-in-use":
            raise
        found = f"the role {change.name} is in use by others: left as it is"
        told.append(warning("undo role", HUB, found, "look at Workspace > Permissions"))


async def _file(work: Work, change: Change, told: list[Finding]) -> None:
    path = work.wish.config.parent / change.name
    if path.exists() and digest(path.read_text("utf-8")) != change.after.get("sha256"):
        do = "delete it, unless you still need what you wrote into it: its accounts and tokens are gone"
        told.append(warning("undo file", OURS, f"{change.name} was changed since setup: left as it is", do))
        return
    remove_secret(path)


async def _nothing(work: Work, change: Change, told: list[Finding]) -> None:
    """A token goes with its user."""


async def _find(work: Work, name: str) -> dict[str, Any]:
    try:
        return table_of((await work.admin.get("users.info", {"username": name})).get("user"))
    except SetupFailed as exc:
        if exc.code in ("http-400", "http-404", "error-invalid-user", "User not found."):
            return {}
        raise


_KINDS: dict[str, tuple[str, dict[str, str], Undo]] = {
    "webhook": ("put the webhook's settings back as they were", webhook.NEEDS, _webhook),
    "setting": ("put the setting {name} back as it was", external.NEEDS, _setting),
    "user": (
        "delete the user {name}, and with it the messages that it wrote, unless the workspace keeps those",
        {"delete-user": "deletes the accounts that setup made"},
        _user,
    ),
    "token": ("the token of {name} goes with that user", {}, _nothing),
    "field": ("put the custom field {name} back as it was", fields.NEEDS, _field),
    "permissions": ("take the permissions of the role {name} away", provisioner.NEEDS, _permissions),
    "role": ("delete the role {name}", provisioner.NEEDS, _role),
    "file": ("delete the file {name}, unless it was changed", {}, _file),
}
