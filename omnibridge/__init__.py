"""The omnichannel routing and external-CRM bridge for Rocket.Chat."""

__version__ = "0.1.0"
