"""Other people's clients of Rocket.Chat against the sandbox: each module has a `main()`."""
