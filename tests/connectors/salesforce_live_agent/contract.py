"""Settings of a service that refuses connections, for the contract checks."""

NOBODY_LISTENS = {
    "endpoint": "http://127.0.0.1:9",
    "org_id": "00DSM0000004Omn",
    "deployment_id": "572SM0000000Dep",
    "button_id": "573SM0000000Btn",
}
