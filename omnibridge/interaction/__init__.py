"""What a bot is told of a click: the response object, and the address at which it may answer later."""
