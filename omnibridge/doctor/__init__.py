"""`omnibridge doctor`: looks at workspaces, accounts, backends and this machine, and says which side is wrong.

It changes nothing in a workspace: it reads, and makes two calls that name a conversation which does not exist, to
learn whether they are allowed. `webhook.test` makes Rocket.Chat send us a sample, which we record and skip.
"""
