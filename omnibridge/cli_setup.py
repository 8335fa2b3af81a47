"""`omnibridge setup`: an administrator lets us prepare his workspace; his token is used, and not kept."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from omnibridge.cli_operator import DEFAULT, ConfigPath, Json, print_json
from omnibridge.errors import ConfigError

DEFAULT_PROVISIONER = "omnibridge-provisioner"


def setup(
    url: Annotated[str, typer.Option("--url", help="address of Rocket.Chat, unless the configuration has it")] = "",
    public_url: Annotated[
        str, typer.Option("--public-url", help="address at which Rocket.Chat reaches omnibridge, without a path")
    ] = "",
    workspace: Annotated[str, typer.Option("--workspace", help="its name; may be left out when there is one")] = "",
    relay: Annotated[str, typer.Option("--relay", help="user name of the relay account [omnibridge]")] = "",
    bot: Annotated[
        list[str] | None, typer.Option("--bot", help="CONNECTION or CONNECTION=USERNAME; several times")
    ] = None,
    provisioner: Annotated[
        bool, typer.Option("--provisioner", help="also the account that makes users for [agents]")
    ] = False,
    provisioner_user: Annotated[str, typer.Option(help="user name of that account")] = DEFAULT_PROVISIONER,
    external: Annotated[
        bool, typer.Option("--external", help="let the routing method External ask omnibridge; makes the holding bot")
    ] = False,
    holding_bot: Annotated[str, typer.Option(help="user name of the holding bot [omnibridge-holding]")] = "",
    admin_user_id: Annotated[str, typer.Option(help="user id of the administrator whose token it is")] = "",
    admin_token_file: Annotated[
        Path | None, typer.Option(help="his personal access token; or OMNIBRIDGE_ADMIN_TOKEN, or a prompt")
    ] = None,
    admin_user: Annotated[str, typer.Option(help="instead: his user name, to log in with the password")] = "",
    admin_password_file: Annotated[
        Path | None, typer.Option(help="his password; or OMNIBRIDGE_ADMIN_PASSWORD, or a prompt")
    ] = None,
    code: Annotated[str, typer.Option("--2fa-code", help="his second factor: of the app, or mailed")] = "",
    write: Annotated[
        bool, typer.Option("--write", help="tokens into files beside the configuration, mode 0600")
    ] = False,
    new_tokens: Annotated[bool, typer.Option("--new-tokens", help="make the tokens of our accounts anew")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="say what would be done; change nothing")] = False,
    undo: Annotated[bool, typer.Option("--undo", help="put the workspace back as it was before setup")] = False,
    as_json: Json = False,
    config: ConfigPath = DEFAULT,
) -> None:
    """Make accounts, custom field and webhook of a workspace with an admin's token; or --undo all of it."""
    from omnibridge.log import configure_logging
    from omnibridge.setup.record import Record, alone
    from omnibridge.setup.wish import Options, read_wish

    configure_logging("error", "text")
    if undo and (write or new_tokens):
        raise ConfigError("--undo goes with neither --write nor --new-tokens")
    named = provisioner_user if provisioner else ""
    if holding_bot and not external:
        raise ConfigError("--holding-bot goes with --external")
    options = Options(
        workspace, url, public_url, relay, tuple(bot or ()), named, external=external, holding=holding_bot, is_undo=undo
    )
    wish = read_wish(config, os.environ, options)
    credentials = _Credentials(admin_user_id, admin_token_file, admin_user, admin_password_file, code)
    with contextlib.nullcontext() if dry_run else alone(wish.config.parent):
        record = Record(wish.record_path, wish.name, wish.url)
        raise typer.Exit(
            asyncio.run(
                _run(
                    wish,
                    record,
                    credentials,
                    undo=undo,
                    dry_run=dry_run,
                    new_tokens=new_tokens,
                    write=write,
                    as_json=as_json,
                )
            )
        )


class _Credentials:
    """What the admin gave, from the best place that has it: file, environment, prompt."""

    def __init__(self, user_id: str, token_file: Path | None, user: str, password_file: Path | None, code: str) -> None:
        if bool(user_id) == bool(user):
            raise ConfigError("give --admin-user-id, whose token it is, or --admin-user, to log in with the password")
        self.user_id, self.user, self.code = user_id, user, code
        self.ask = _ask if sys.stdin.isatty() else None
        if user_id:
            self.secret = self._read(token_file, "OMNIBRIDGE_ADMIN_TOKEN", "--admin-token-file", "Admin's token")
            self.password = os.environ.get("OMNIBRIDGE_ADMIN_PASSWORD", "")
            if password_file:
                self.password = _content(password_file)
        else:
            what = "--admin-password-file"
            self.secret = self.password = self._read(
                password_file, "OMNIBRIDGE_ADMIN_PASSWORD", what, "Admin's password"
            )

    def _read(self, file: Path | None, variable: str, option: str, words: str) -> str:
        found = _content(file) if file else os.environ.get(variable, "")
        if not found and self.ask:
            found = self.ask(words)
        if not found:
            raise ConfigError(f"{option}: missing; or set {variable}, or run it in a terminal to be asked")
        return found

    async def admin(self, url: str) -> Any:
        from omnibridge.rocketchat.calls import Credentials
        from omnibridge.setup.admin import Admin, SecondFactor

        factor = SecondFactor(self.code, self.password, self.ask)
        if self.user:
            return await Admin.log_in(url, self.user, self.secret, factor)
        return Admin(url, Credentials(self.user_id, self.secret), factor)


async def _run(
    wish: Any,
    record: Any,
    credentials: _Credentials,
    *,
    undo: bool,
    dry_run: bool,
    new_tokens: bool,
    write: bool,
    as_json: bool,
) -> int:
    from omnibridge.doctor.finding import ACCOUNT, problem
    from omnibridge.setup import report as shown
    from omnibridge.setup.admin import SetupFailed
    from omnibridge.setup.run import Report, set_up, unreachable
    from omnibridge.setup.step import Work
    from omnibridge.setup.undo import undo as take_back

    try:
        admin = await credentials.admin(wish.url)
    except SetupFailed as exc:
        # Whoever logs in by password is the first to notice that there is no Rocket.Chat: say that instead.
        found = await unreachable(wish) or [problem("admin", ACCOUNT, str(exc), exc.do)]
        failed = Report(wish.name, found, is_dry=dry_run)
        _print(failed.as_json() if as_json else shown.as_text(failed, is_undo=undo), [credentials.secret])
        return failed.exit_code
    try:
        work = Work(admin, record, wish, write)
        if undo:
            report = await take_back(work, dry_run=dry_run)
        else:
            report = await set_up(work, dry_run=dry_run, new_tokens=new_tokens)
        secrets = [credentials.secret, credentials.password, admin.credentials.auth_token]
        secrets += [each.reveal() for each in work.passwords.values()]
        secrets += [each.auth_token for each in work.tokens.values()]
        secrets += [work.webhook_token.reveal(), work.external_token.reveal()]
        is_whole = not undo and not dry_run and not report.exit_code
        is_shown = bool((is_whole and report.steps) or (work.tokens and not write))
        if as_json:
            _print(shown.as_json(work, report) if not undo else report.as_json(), secrets)
        else:
            _print(shown.as_text(report, is_undo=undo), secrets)
        if is_whole and write and not wish.has_config:
            work.keep(wish.config.name, shown.whole_configuration(work, report))
            typer.echo(
                f"{wish.config}: written; give each [[connection]] a kind, then `omnibridge config check`", err=True
            )
        elif is_shown and not as_json:
            once = "" if write else "; tokens are shown this once"
            typer.echo(f"\nFor {wish.config}, what it lacks{once}:\n\n{shown.configuration(work, report)}")
        if is_whole or not as_json:
            work.delivered()
        return report.exit_code
    finally:
        await admin.aclose()


def _print(value: Any, secrets: list[str]) -> None:
    from omnibridge.setup.report import redacted

    if isinstance(value, str):
        typer.echo(redacted(value, secrets))
        return
    told = value.pop("configuration", None)
    value = json.loads(redacted(json.dumps(value), secrets))
    print_json(value if told is None else {**value, "configuration": told})


def _ask(words: str) -> str:
    return str(typer.prompt(words, hide_input=True, err=True))


def _content(file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(f"{file}: cannot be read: {getattr(exc, 'strerror', '') or 'not UTF-8'}") from exc
