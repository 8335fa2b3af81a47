"""The way that leads to Google: TLS, and the token of a service account's key on the channel itself."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.certificates import self_signed

RUN = """
    import asyncio, json, sys
    from dataclasses import replace
    import grpc
    from google.auth import jwt
    from google.cloud import dialogflow_v2 as types
    from connectors.dialogflow.connector import DialogflowConnector
    from connectors.dialogflow.simulated import handlers
    from omnibridge.connector.testing import FakeContext, turn
    from tests.connectors.dialogflow.bots import settings

    folder = sys.argv[1]
    told = {}

    async def answer(request, context):
        told.update({key: value for key, value in context.invocation_metadata()})
        return types.DetectIntentResponse({"query_result": {"fulfillment_text": "hello", "intent": {"name": "x"}}})

    async def main():
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(handlers(answer, answer))
        key, certificate = (open(f"{folder}/{name}.pem", "rb").read() for name in ("key", "certificate"))
        port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([(key, certificate)]))
        await server.start()
        connector = DialogflowConnector()
        account = open(f"{folder}/account.json").read()
        wish = settings(url=f"https://localhost:{port}", credentials=account, project="")
        await connector.initialize(FakeContext().make(wish))
        reply = await connector.on_message(turn("hi"))
        await connector.aclose()
        await server.stop(None)
        token = told["authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, certs=open(f"{folder}/public.pem").read())
        print(json.dumps({"said": reply.parts[0].text, "claims": claims, "session": told["x-goog-request-params"]}))

    asyncio.run(main())
"""


def test_token_of_the_key_goes_with_each_call_over_tls(tmp_path: Path) -> None:
    """In a process of its own: gRPC reads its roots once."""
    certificate, key = self_signed("localhost", is_rsa=True, is_authority=True)
    account = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    private = account.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode()
    info = {"type": "service_account", "project_id": "mine", "client_email": "a@b.test", "private_key": private}
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "certificate.pem").write_bytes(certificate)
    public = account.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo)
    (tmp_path / "public.pem").write_bytes(public)
    (tmp_path / "account.json").write_text(json.dumps(info), "utf-8")

    environment = {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(tmp_path / "certificate.pem"), "PATH": "/usr/bin:/bin"}
    code = textwrap.dedent(RUN)
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, env=environment, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)

    assert found["said"] == "hello"
    assert (found["claims"]["iss"], found["claims"]["sub"]) == ("a@b.test", "a@b.test")
    assert "https://www.googleapis.com/auth/dialogflow" in found["claims"]["scope"].split()
    assert 3000 < found["claims"]["exp"] - found["claims"]["iat"] <= 3600
    assert found["session"] == "session=projects/mine/agent/sessions/s1"
