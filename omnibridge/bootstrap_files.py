"""Settings in, what carries files out: links for bots and their endpoint."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from starlette.routing import Route

from omnibridge.bootstrap_bots import relay_of
from omnibridge.clock import Clock
from omnibridge.config import Settings
from omnibridge.domain.files import FilePolicy
from omnibridge.engine.counters import Counters
from omnibridge.engine.hub_sender import Hub
from omnibridge.files.download import FileDownloads, FileFetcher, FileHub
from omnibridge.files.fetching import Source
from omnibridge.files.links import FileLinks
from omnibridge.files.uploading import FileUploader, Way
from omnibridge.rocketchat.uploads import FileCalls
from omnibridge.storage.database import Database


class Files:
    """site: where this service listens, known once it does; what the settings say goes before it."""

    def __init__(self, settings: Settings, secret: bytes, clock: Clock, counters: Counters) -> None:
        self._settings, self._hubs = settings, dict[str, FileHub]()
        self._counters = counters
        self.site = f"http://{settings.server.host}:{settings.server.port}"
        self.links = FileLinks(
            secret, clock, lambda: settings.files.public_url or self.site, int(settings.files.link_minutes * 60)
        )
        self.fetcher = FileFetcher(lambda: self._hubs)

    def routes(self) -> list[Route]:
        downloads = FileDownloads(self.links, self.fetcher, partial(self._counters.add, "files", 1))
        return [Route("/files/{token}", downloads)]

    def uploader(self, database: Database) -> FileUploader:
        settings, limit_s = self._settings, self._settings.files.upload_timeout_s
        policy = FilePolicy(settings.files.upload_types, settings.files.upload_max_bytes)
        sources = {
            each.name: Source.of(str(each.options.get("url", "")), each.file_hosts, policy, limit_s)
            for each in settings.connection
            if each.upload_files
        }
        ways = {each.name: Way(FileCalls(each.url, limit_s), relay_of(each)) for each in settings.workspace}
        return FileUploader(database, sources, ways, partial(self._counters.add, "files", 1))

    def begin(self, hubs: Mapping[str, Hub]) -> None:
        """The workspaces are known."""
        for each in self._settings.workspace:
            self._hubs[each.name] = FileHub.of(each.url, relay_of(each), hubs[each.name].client)
