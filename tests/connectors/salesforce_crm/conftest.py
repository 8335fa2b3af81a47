from collections.abc import AsyncIterator

import pytest_asyncio

from tests.connectors.salesforce_crm.orgs import Desk, desk


@pytest_asyncio.fixture
async def org() -> AsyncIterator[Desk]:
    async with desk() as made:
        yield made
