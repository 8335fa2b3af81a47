from collections.abc import AsyncIterator

import pytest_asyncio

from tests.connectors.salesforce_crm.omnis import Omni, omni_org
from tests.connectors.salesforce_crm.orgs import Desk, desk


@pytest_asyncio.fixture
async def org() -> AsyncIterator[Desk]:
    async with desk() as made:
        yield made


@pytest_asyncio.fixture
async def omni() -> AsyncIterator[Omni]:
    async with omni_org() as made:
        yield made
