"""Settings of an org that refuses connections, for the contract checks."""

NOBODY_LISTENS = {"url": "http://127.0.0.1:9", "org_id": "00DSM0000004Omn", "es_developer_name": "Omnibridge_Web"}
