"""rocketchat-API 3.7.1: REST only, so it looks until it is asked."""

from __future__ import annotations

import json
import os
import time

from rocketchat_API.rocketchat import RocketChat

told = json.loads(os.environ["SANDBOX"])
client = RocketChat("alice", "secret", server_url=told["url"])
me, user = client.me(), client.users_info(username="bot")["user"]
if (me["username"], user["username"]) != ("alice", "bot"):
    raise SystemExit(f"logged in as {me['username']}, found {user['username']}")
rooms = {each["_id"] for each in client.rooms_get()["update"]}
room = client.channels_info(channel="general")["channel"]["_id"]
if room not in rooms:
    raise SystemExit(f"{room} is not among {rooms}")
print("listening", flush=True)

deadline = time.monotonic() + 20
while time.monotonic() < deadline:
    for message in client.channels_history(room, max_count=20):
        if message["msg"] == "ping rocketchat-API":
            sent = client.chat_post_message("pong rocketchat-API", room_id=room)
            edited = client.chat_update(room, sent["message"]["_id"], "pong rocketchat-API")
            raise SystemExit(0 if sent["success"] and edited["success"] else f"{sent} {edited}")
    time.sleep(0.1)
raise SystemExit("nobody has asked")
