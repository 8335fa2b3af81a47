"""The public API for connectors: all that a connector imports of omnibridge."""

from omnibridge.connector.context import ClientFactory, ConnectorContext
from omnibridge.connector.interface import (
    Callback,
    ChecksHealth,
    Connector,
    Handover,
    HearsTyping,
    ReceivesCallbacks,
    Reply,
    ResolvesTurns,
    Turn,
    WelcomesVisitors,
)
from omnibridge.domain.agents import ExternalAgent
from omnibridge.domain.content import (
    Card,
    Carousel,
    Choices,
    Content,
    Custom,
    File,
    Image,
    Link,
    Option,
    Text,
)
from omnibridge.errors import (
    ConfigError,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from omnibridge.http import Answer, AnswerTooLarge, Client

__all__ = [
    "Answer",
    "AnswerTooLarge",
    "Callback",
    "Card",
    "Carousel",
    "ChecksHealth",
    "Choices",
    "Client",
    "ClientFactory",
    "ConfigError",
    "Connector",
    "ConnectorContext",
    "Content",
    "Custom",
    "DeliveryError",
    "DeliveryRejected",
    "DeliveryRetryable",
    "DeliveryUncertain",
    "ExternalAgent",
    "File",
    "Handover",
    "HearsTyping",
    "Image",
    "Link",
    "Option",
    "ReceivesCallbacks",
    "Reply",
    "ResolvesTurns",
    "Text",
    "Turn",
    "WelcomesVisitors",
]
