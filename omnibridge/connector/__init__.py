"""The public API for connectors: all that a connector imports of omnibridge."""

from omnibridge.connector.context import ClientFactory, ConnectorContext
from omnibridge.connector.files import HearsEdits, TakesFiles, TurnFile
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
    DatePick,
    File,
    Form,
    FormField,
    Image,
    Link,
    Option,
    Select,
    Text,
)
from omnibridge.domain.files import FilePolicy
from omnibridge.domain.interactions import Action, Actor, Interaction, MessageUpdate
from omnibridge.errors import (
    ConfigError,
    DeliveryError,
    DeliveryRejected,
    DeliveryRetryable,
    DeliveryUncertain,
)
from omnibridge.http import Answer, AnswerTooLarge, Client

__all__ = [
    "Action",
    "Actor",
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
    "DatePick",
    "DeliveryError",
    "DeliveryRejected",
    "DeliveryRetryable",
    "DeliveryUncertain",
    "ExternalAgent",
    "File",
    "FilePolicy",
    "Form",
    "FormField",
    "Handover",
    "HearsEdits",
    "HearsTyping",
    "Image",
    "Interaction",
    "Link",
    "MessageUpdate",
    "Option",
    "ReceivesCallbacks",
    "Reply",
    "ResolvesTurns",
    "Select",
    "TakesFiles",
    "Text",
    "Turn",
    "TurnFile",
    "WelcomesVisitors",
]
