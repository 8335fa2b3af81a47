"""The provisioner's own role and its permissions: what `[agents]` needs to make users. Source: rocketchat-api 3.3."""

from __future__ import annotations

from omnibridge.doctor.view import texts
from omnibridge.rocketchat.leaves import list_of, table_of, text_of
from omnibridge.setup.look import Seen
from omnibridge.setup.record import Record
from omnibridge.setup.step import Step, Work
from omnibridge.setup.wish import PROVISIONER_ROLE

PERMISSIONS = (
    "create-user",
    "assign-roles",
    "edit-other-user-info",
    "edit-other-user-avatar",
    "edit-other-user-active-status",
    "view-full-other-user-info",
    "view-privileged-setting",
)
"""Never access-permissions, never a setting to write: with those it could make itself an admin."""

NEEDS = {"access-permissions": "makes the provisioner's role"}


def steps(seen: Seen, record: Record) -> list[Step]:
    """Only for an account that setup makes, or made: another one has its rights from elsewhere."""
    view = next((each for each in seen.accounts if each.wish.kind == "provisioner"), None)
    if view is None or (view.is_there and record.find("user", view.username) is None):
        return []
    found = []
    if PROVISIONER_ROLE not in seen.roles:
        found.append(Step("role", f"make the role {PROVISIONER_ROLE}", NEEDS, _make_role))
    identity = seen.roles.get(PROVISIONER_ROLE, "")
    lacking = [each for each in PERMISSIONS if identity not in seen.permissions.get(each, {identity} - {""})]
    if lacking:
        text = f"give the role {PROVISIONER_ROLE} {', '.join(lacking)}"
        found.append(Step("permissions", text, NEEDS, _give))
    return found


async def _make_role(work: Work) -> None:
    change = work.record.begin("role", PROVISIONER_ROLE, {}, {"id": ""})
    identity = await role_id(work)
    if not identity:
        wish = {"name": PROVISIONER_ROLE, "description": "omnibridge: makes agents", "scope": "Users"}
        body = await work.admin.post("roles.create", wish, *NEEDS)
        identity = text_of(table_of(body.get("role")).get("_id")) or await role_id(work)
    work.record.done(change, id=identity)


async def _give(work: Work) -> None:
    identity, now = await role_id(work), await holders(work)
    lacking = {name: now[name] for name in PERMISSIONS if name in now and identity not in now[name]}
    change = work.record.begin("permissions", PROVISIONER_ROLE, {}, {"id": identity, "names": sorted(lacking)})
    given = [{"_id": name, "roles": sorted({*roles, identity})} for name, roles in lacking.items()]
    await work.admin.post("permissions.update", {"permissions": given}, *NEEDS)
    work.record.done(change)


async def role_id(work: Work) -> str:
    """Empty when there is none."""
    rows = [table_of(each) for each in list_of((await work.admin.get("roles.list")).get("roles"))]
    return next((text_of(each.get("_id")) for each in rows if each.get("name") == PROVISIONER_ROLE), "")


async def holders(work: Work) -> dict[str, set[str]]:
    """Permission -> ids of the roles that hold it."""
    rows = [table_of(each) for each in list_of((await work.admin.get("permissions.listAll")).get("update"))]
    return {text_of(each.get("_id")): texts(each.get("roles")) for each in rows}
