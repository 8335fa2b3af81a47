"""External agents become users of Rocket.Chat: found, made within a budget, or lent a proxy."""
