"""What is printed: checks, steps, and the configuration. Tokens are shown here, and nowhere else."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from omnibridge.doctor.finding import clean
from omnibridge.doctor.report import MARKS
from omnibridge.engine.plugins import installed_kinds
from omnibridge.engine.settings_schema import shapes
from omnibridge.setup.run import Report
from omnibridge.setup.step import Work
from omnibridge.setup.wish import Account

STATES = {"would": "would", "done": "done", "failed": "FAIL", "not done": "  - "}
SHOWN_BEFORE = "shown when it was made; setup --new-tokens makes others"
SHORTEST = 10
"""Of a secret that is looked for: a shorter password is a word that may stand in any sentence."""

UNDO = "`omnibridge setup --undo`, with the same --config, takes all of it back"


def as_text(report: Report, *, is_undo: bool) -> str:
    """Checks first, then the steps."""
    lines = [f"workspace {report.workspace}"]
    width = max((len(each.check) for each in report.findings), default=0)
    for each in report.findings:
        side = f"[{each.side}] " if each.side else ""
        lines.append(f"  {MARKS[each.status]}  {each.check:<{width}}  {side}{each.found}")
        lines += [f"        {'':<{width}}  -> {step}" for step in each.do.split("; ") if step]
    if report.steps:
        lines += ["", *(f"  {STATES[state]}  {clean(each.text)}" for each, state in report.steps)]
    if not report.steps and not report.exit_code:
        lines.append("  nothing to undo" if is_undo else "  nothing to do: everything is as it shall be")
    n_problems = sum(each.status == "problem" for each in report.findings)
    if n_problems:
        is_begun = any(state == "done" for _, state in report.steps)
        problems = f"{n_problems} problem{'s' if n_problems > 1 else ''}"
        lines += ["", f"{problems}; {'stopped there' if is_begun else 'nothing was changed'}"]
    elif report.is_dry:
        lines += ["", f"{len(report.steps)} steps; nothing was changed (--dry-run)"]
    elif report.steps and not is_undo:
        lines += ["", f"{len(report.steps)} steps done; {UNDO}"]
    return "\n".join(lines)


def configuration(work: Work, report: Report) -> str:
    """TOML of what the service needs; with files in place of tokens after --write."""
    wish, write = work.wish, work.write
    kinds = (
        " or ".join(f'"{each.kind}"' for each in shapes(installed_kinds()) if "connection" in each.groups)
        or "none is installed"
    )
    lines = ["[[workspace]]", f'name = "{wish.name}"', f'url = "{wish.url}"']
    lines += _account(work, report, "relay", ("user_id", "auth_token"))
    token = work.webhook_token.reveal()
    if wish.webhook_token:
        lines.append("# webhook_token: as it is in the configuration")
    else:
        lines.append(f'webhook_token_file = "{wish.webhook_file}"' if write else f'webhook_token = "{token}"')
    lines += _account(work, report, "provisioner", ("provisioner_user_id", "provisioner_token"))
    lines += _external(work)
    for each in wish.accounts:
        if each.kind == "bot":
            lines += ["", "[[connection]]", f'name = "{each.connection}"']
            if not wish.has_config:
                lines.append(f"# kind: its connector: {kinds}; below it the keys of that: connectors/README.md")
                lines.append('# kind = "…"')
            lines += [f'rocketchat_user = "{each.username}"', *_token(work, each, each.username, "rocketchat_token")]
    return "\n".join(lines) + "\n"


def whole_configuration(work: Work, report: Report) -> str:
    """A file to begin with."""
    return "# Made by `omnibridge setup`. `omnibridge config sample` prints every setting.\n\n" + configuration(
        work, report
    )


def as_json(work: Work, report: Report) -> dict[str, Any]:
    """configuration: as the file has it; with the tokens of this run, unless --write kept them in files."""
    found = report.as_json()
    if not report.is_dry and not report.exit_code and report.seen:
        found["configuration"] = configuration(work, report)
    return found


def redacted(text: str, secrets: Iterable[str]) -> str:
    """The last line of defence: another system may repeat what we sent it."""
    for each in sorted((each for each in secrets if len(each) >= SHORTEST), key=len, reverse=True):
        text = text.replace(each, "***")
    return text


def _account(work: Work, report: Report, kind: str, keys: tuple[str, str]) -> list[str]:
    """Its id and its token."""
    account = next((each for each in work.wish.accounts if each.kind == kind), None)
    if account is None:
        return []
    view = next((each for each in report.seen.accounts if each.wish is account), None) if report.seen else None
    username = view.username if view else account.username
    identity = work.user_ids.get(username) or (view.id if view else account.user_id)
    return [f"{keys[0]} = {json.dumps(identity)}", *_token(work, account, username, keys[1])]


def _external(work: Work) -> list[str]:
    """What answers the routing method."""
    wish = work.wish
    holder = next((each.username for each in wish.accounts if each.kind == "holding"), "")
    if not holder:
        return []
    lines = [f'holding_bot = "{holder}"']
    if wish.external_token:
        return [*lines, "# external_token: as it is in the configuration"]
    token = work.external_token.reveal()
    return [*lines, f'external_token_file = "{wish.external_file}"' if work.write else f'external_token = "{token}"']


def _token(work: Work, account: Account, username: str, key: str) -> list[str]:
    made = work.tokens.get(username)
    if account.token and not made:
        return [f"# {key}: as it is in the configuration"]
    if work.write:
        return [f'{key}_file = "{account.file}"']
    return [f'{key} = "{made.auth_token}"'] if made else [f"# {key}: {SHOWN_BEFORE}"]
