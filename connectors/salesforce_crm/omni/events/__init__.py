"""Events of the Pub/Sub API: that something has changed in the org, so that looks need not go by the clock.

They are wake-ups, not the truth: nothing is decided by what one says, so nothing depends on their order, on replay ids,
or on their coming once. Needs the extra `salesforce-events`; nothing here is imported without `events = "pubsub"`.
"""
