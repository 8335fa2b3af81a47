"""The hub's realtime connection (DDP over WebSocket): a second source of observations.

    socket ─▶ connection.py ─▶ frames.py ─────────▶ listener.py ─▶ (engine) journal ─▶ translate.py, derive_live.py
              log-in, pings    not livechat: gone   back-off, gaps

Who sees what (rocketchat-api 4.3, 8.2). `__my_messages__` sends every message of every room that the account *may
read*, subscribed or not: the relay account (`bot` + `livechat-manager`, so `view-livechat-rooms`) gets all of
livechat, system messages among them; and of the rest of the server what any user may read (public channels):
that is dropped undecoded. What follows: no subscription for each room is needed to miss nothing. But
`rooms-changed` tells of *subscribed* rooms only, so the relay account hardly gets it; and deletions and typing are
told room by room only (`watch.py`). A bot user sees the rooms that it serves, which is too few to listen with.
System messages that `Hide_System_Messages` names are not sent at all: then inquiries and webhooks tell, or the
reconciler finds it.
"""
