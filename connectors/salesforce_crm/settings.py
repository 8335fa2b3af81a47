"""How an org is reached, and the settings of a `[[crm]]` of kind `salesforce_crm`."""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import urlsplit

import msgspec

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class OrgSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """url: My Domain of the org.

    flow: `client_credentials` (client_id, client_secret; the run-as user is set on the app) or `jwt` (client_id,
    username, private_key in PEM; audience is https://login.salesforce.com, or https://test.salesforce.com for a
    sandbox). workers: threads, and so calls at a time. requests_per_day: our own share; 0 = only the org's limit.
    reserve_percent: of the org's daily calls that are left to others. proxy: address of an HTTP proxy.
    """

    url: str
    client_id: str
    flow: Literal["client_credentials", "jwt"] = "client_credentials"
    client_secret: str = ""
    username: str = ""
    private_key: str = ""
    audience: str = "https://login.salesforce.com"
    api_version: str = "62.0"
    workers: int = 4
    connect_timeout_s: float = 5.0
    read_timeout_s: float = 20.0
    requests_per_day: int = 0
    reserve_percent: int = 20
    proxy: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
            raise ValueError("url must begin with https:// and be your My Domain: https://NAME.my.salesforce.com")
        if not parts.hostname or parts.path.strip("/") or parts.username or parts.query:
            raise ValueError("url must be the bare address of the org, nothing behind its host")
        if self.flow == "client_credentials":
            if parts.hostname in ("login.salesforce.com", "test.salesforce.com"):
                raise ValueError("url must be your My Domain: client credentials are refused at login and test")
            if not self.client_secret:
                raise ValueError('client_secret is missing: flow "client_credentials" needs it')
        elif not self.username or "-----BEGIN" not in self.private_key:
            raise ValueError('flow "jwt" needs username and private_key, the whole PEM with its BEGIN and END lines')
        if not re.fullmatch(r"\d{2,3}\.0", self.api_version):
            raise ValueError('api_version must be like "62.0"')
        if not 1 <= self.workers <= 32 or not 0 <= self.reserve_percent <= 99 or self.requests_per_day < 0:
            raise ValueError("workers: 1 to 32; reserve_percent: 0 to 99; requests_per_day: 0 or more")
        if not 0 < self.connect_timeout_s <= 120 or not 0 < self.read_timeout_s <= 600:
            raise ValueError("connect_timeout_s: up to 120; read_timeout_s: up to 600; both above 0")


class SalesforceCrmSettings(OrgSettings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """mapping: the text of the mapping file, given as `mapping_file`."""

    mapping: str

    def __post_init__(self) -> None:
        from connectors.salesforce_crm.mapping import parse_mapping

        OrgSettings.__post_init__(self)
        parse_mapping(self.mapping)
