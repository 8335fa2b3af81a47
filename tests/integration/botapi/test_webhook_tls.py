"""Webhooks over real TLS: who shows another certificate than the one that was given is told nothing."""

from __future__ import annotations

import ssl
import warnings
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from omnibridge.botapi.connector import BotApiConnector
from tests.certificates import self_signed, server_context
from tests.integration.botapi.conftest import Api, MakeApi
from tests.integration.botapi.test_webhook import Called


class SecureCalled(Called):
    """A bot's webhook behind TLS, with a certificate that it signed itself."""

    async def serve(self, folder: Path, **options: Any) -> str:
        """Its certificate."""
        context, trusted = server_context(folder, "127.0.0.1")
        for name, value in options.items():
            setattr(context, name, value)
        app = web.Application()
        app.router.add_post("/hook", self.take)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self.url = f"https://127.0.0.1:{self._runner.addresses[0][1]}/hook"
        return trusted.read_text()

    async def stop(self) -> None:
        await self._runner.cleanup()


async def upload(api: Api, certificate: str | bytes, **fields: str) -> dict[str, Any]:
    """setWebhook as clients of Telegram send it."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("certificate", certificate, filename="public.pem", content_type="application/x-x509-ca-cert")
    async with api.session.post(f"{api.world.node.url}/bot{api.token}/setWebhook", data=form) as answer:
        return dict(await answer.json())


async def test_s3_40_self_signed_is_accepted_only_with_its_certificate(make_api: MakeApi, tmp_path: Path) -> None:
    called = SecureCalled()
    certificate = await called.serve(tmp_path)
    api = await make_api()
    try:
        await api.call("setWebhook", url=called.url)
        await api.world.visitor()
        await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE last_error = 'Connection failed'"))
        assert (await upload(api, self_signed("127.0.0.1")[0], url=called.url))["ok"]
        await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE last_error = 'Connection failed'"))
        assert called.tries == 0, "neither the usual authorities nor another certificate vouch for it"
        assert (await upload(api, certificate, url=called.url, secret_token="s3cret"))["ok"]
        await called.until(lambda: called.seen)
        info = await api.call("getWebhookInfo")
    finally:
        await called.stop()

    assert called.texts() == ["/start"]
    assert info["has_custom_certificate"] is True
    assert called.headers[0]["X-Telegram-Bot-Api-Secret-Token"] == "s3cret"


async def test_s3_40_no_older_tls_than_1_2(make_api: MakeApi, tmp_path: Path) -> None:
    called = SecureCalled()
    with warnings.catch_warnings(action="ignore"):
        old = {"minimum_version": ssl.TLSVersion.TLSv1, "maximum_version": ssl.TLSVersion.TLSv1_1}
        certificate = await called.serve(tmp_path, **dict(reversed(old.items())))
    api = await make_api()
    try:
        assert (await upload(api, certificate, url=called.url))["ok"]
        await api.world.visitor()
        await called.until(lambda: api.world.rows("SELECT 1 FROM bots WHERE last_error = 'Connection failed'"))
    finally:
        await called.stop()

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
