"""Settings with which the contract is checked: nobody listens there."""

from tests.connectors.salesforce_crm.orgs import SAMPLE

NOBODY_LISTENS = {"url": "http://127.0.0.1:9", "client_id": "i", "client_secret": "s", "mapping": SAMPLE}
