"""Webhooks over real TLS: who shows another certificate than the one that was given is told nothing."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from omnibridge.botapi.connector import BotApiConnector
from tests.certificates import self_signed, server_context
from tests.integration.botapi.conftest import Api, MakeApi
from tests.integration.botapi.test_webhook import Called
from tests.web_server import web_server


@asynccontextmanager
async def secure(folder: Path, **options: Any) -> AsyncIterator[tuple[Called, str]]:
    """A bot's webhook behind TLS, with a certificate that it signed itself; and that certificate."""
    context, trusted = server_context(folder, "127.0.0.1")
    for name, value in options.items():
        setattr(context, name, value)
    called, app = Called(), web.Application()
    app.router.add_post("/hook", called.take)
    async with web_server(app, context) as url:
        called.url = f"{url}/hook"
        yield called, trusted.read_text()


async def upload(api: Api, certificate: str | bytes, **fields: str) -> dict[str, Any]:
    """setWebhook as clients of Telegram send it."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("certificate", certificate, filename="public.pem", content_type="application/x-x509-ca-cert")
    async with api.session.post(f"{api.world.node.url}/bot{api.token}/setWebhook", data=form) as answer:
        return dict(await answer.json())


async def test_s3_40_self_signed_is_accepted_only_with_its_certificate(make_api: MakeApi, tmp_path: Path) -> None:
    api = await make_api()
    async with secure(tmp_path) as (called, certificate):
        await api.call("setWebhook", url=called.url)
        await api.world.visitor()
        await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE last_error = 'Connection failed'"))
        assert (await upload(api, self_signed("127.0.0.1")[0], url=called.url))["ok"]
        await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE last_error = 'Connection failed'"))
        assert called.tries == 0, "neither the usual authorities nor another certificate vouch for it"
        assert (await upload(api, certificate, url=called.url, secret_token="s3cret"))["ok"]
        await called.until(lambda: called.seen)
        info = await api.call("getWebhookInfo")

    assert called.texts() == ["/start"]
    assert info["has_custom_certificate"] is True
    assert called.headers[0]["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"


async def test_s3_40_no_older_tls_than_1_2(make_api: MakeApi, tmp_path: Path) -> None:
    api = await make_api()
    old = {"maximum_version": ssl.TLSVersion.TLSv1_1, "minimum_version": ssl.TLSVersion.TLSv1}
    async with AsyncExitStack() as stack:
        with warnings.catch_warnings(action="ignore"):
            called, certificate = await stack.enter_async_context(secure(tmp_path, **old))
        assert (await upload(api, certificate, url=called.url))["ok"]
        await api.world.visitor()
        await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE last_error = 'Connection failed'"))

    assert called.tries == 0


async def test_s3_40_plain_http_and_what_is_no_certificate_are_refused(
    make_api: MakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = await make_api()
    certificate, key = self_signed("127.0.0.1")
    told = [
        await upload(api, "no certificate", url="https://127.0.0.1/hook"),
        await upload(api, certificate + key, url="https://127.0.0.1/hook"),
    ]
    connector = api.world.node.service._connectors["helper"]
    assert isinstance(connector, BotApiConnector)
    monkeypatch.setattr(connector, "settings", connector.settings_type())  # as without allow_private
    plain = await api.raw("setWebhook", url="http://bot.example.com/hook")
    private = await api.raw("setWebhook", url="https://localhost/hook")
    presses = await api.raw("setWebhook", url="https://93.184.216.34/hook", interaction_url="https://10.0.0.1/press")

    assert [each["description"] for each in told] == [
        "Bad Request: bad webhook: the certificate must be one in PEM, without its key"
    ] * 2
    assert plain["description"] == "Bad Request: bad webhook: An HTTPS URL must be provided for webhook"
    for each in (private, presses):
        assert each["description"].startswith("Bad Request: bad webhook: IP address is reserved")
