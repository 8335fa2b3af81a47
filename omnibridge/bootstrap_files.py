"""Settings in, what carries files out: links for bots and their endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from starlette.routing import Route
from starlette.types import ASGIApp

from omnibridge.bootstrap_bots import relay_of
from omnibridge.bootstrap_common import Common
from omnibridge.domain.files import KEPT, FilePolicy, plain_name
from omnibridge.engine.hub import Hub
from omnibridge.engine.speaking import CredentialsOf
from omnibridge.errors import DeliveryRejected, DeliveryRetryable, StorageError
from omnibridge.files.download import FileDownloads, FileFetcher, FileHub
from omnibridge.files.fetching import Source
from omnibridge.files.links import FileLinks, Link
from omnibridge.files.uploading import FileUploader, Way
from omnibridge.rocketchat.uploads import FileCalls
from omnibridge.storage import uploads


class Files:
    """site: where this service listens, known once it does; what the settings say goes before it."""

    def __init__(self, common: Common) -> None:
        settings, database, counters = common.settings, common.database, common.counters
        self._database, self._ids, self._counters = database, common.ids, counters
        self._settings, self._hubs = settings, dict[str, FileHub]()
        self.site = f"http://{settings.server.host}:{settings.server.port}"
        valid_s = int(settings.files.link_minutes * 60)
        self.links = FileLinks(database.secret, common.clock, lambda: settings.files.public_url or self.site, valid_s)
        self.fetcher = FileFetcher(lambda: self._hubs)
        self.downloads: ASGIApp = FileDownloads(self.links, self.fetcher, partial(counters.add, "files", 1))

    def routes(self) -> list[Route]:
        return [Route("/files/{token}", self.downloads)]

    def read_link(self, token: str) -> Link | None:
        return self.links.read(token)

    def uploads_of(self, connection: str) -> bool:
        """Whether bytes of its bot can be shown."""
        return any(each.name == connection and each.upload_files for each in self._settings.connection)

    async def keep(self, connection: str, content: bytes, name: str, media_type: str) -> str:
        """Raises DeliveryRejected for what could never be uploaded, DeliveryRetryable when it cannot be written."""
        most = self._settings.files.upload_max_bytes
        if len(content) > most:
            raise DeliveryRejected(f"a file is longer than [files] upload_max_bytes ({most})", code="file-too-large")
        number, blob = self._ids.next(), uploads.Blob(plain_name(name), media_type[:100], content)
        try:
            await self._database.writer.submit(lambda cursor: uploads.keep(cursor, number, connection, blob))
        except StorageError as exc:
            raise DeliveryRetryable("a file could not be written", code="storage") from exc
        return f"{KEPT}{number}"

    def uploader(self, credentials: CredentialsOf) -> FileUploader:
        """credentials: of users that we made for external agents."""
        settings, limit_s = self._settings, self._settings.files.upload_timeout_s
        policy = FilePolicy(settings.files.upload_types, settings.files.upload_max_bytes)
        sources = {
            each.name: Source.of(str(each.options.get("url", "")), each.file_hosts, policy, limit_s)
            for each in settings.connection
            if each.upload_files
        }
        ways = {each.name: Way(FileCalls(each.url, limit_s), relay_of(each)) for each in settings.workspace}
        return FileUploader(self._database, sources, ways, partial(self._counters.add, "files", 1), credentials)

    def begin(self, hubs: Mapping[str, Hub]) -> None:
        """The workspaces are known."""
        for each in self._settings.workspace:
            self._hubs[each.name] = FileHub.of(each.url, relay_of(each), hubs[each.name].client)
