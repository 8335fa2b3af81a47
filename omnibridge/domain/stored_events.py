"""Events as the journal has them: JSON, each with the name of its class."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from omnibridge.domain import agent_events, delivery_events, desk_events, events

AnyEvent = (
    events.ConversationStarted
    | events.ConversationQueued
    | events.AgentAssigned
    | events.AgentUnassigned
    | events.ConversationTransferred
    | events.MessagePosted
    | events.MessageEdited
    | events.MessageDeleted
    | events.InteractionReceived
    | events.MessagesRecovered
    | events.ConversationClosed
    | events.OfflineMessageLeft
    | events.PartyReplied
    | events.PartySpoke
    | desk_events.PartyAccepted
    | desk_events.PartyDeclined
    | desk_events.PartyLeft
    | desk_events.QueuePositionChanged
    | desk_events.NoticeGiven
    | delivery_events.TurnRepeated
    | events.AgentsListed
    | delivery_events.MoveSucceeded
    | delivery_events.MoveFailed
    | delivery_events.DeliveryDelayed
    | delivery_events.DeliveryBuried
    | delivery_events.TurnResent
    | agent_events.AssignmentRequested
    | agent_events.DecisionPending
    | agent_events.DecisionFailed
    | agent_events.AgentEnsured
    | agent_events.AgentNotEnsured
    | agent_events.PersonaShown
    | events.FactsLearned
    | events.TimerFired
)

read_event: Callable[[bytes], events.Event] = msgspec.json.Decoder(AnyEvent).decode
"""Raises msgspec.DecodeError."""
