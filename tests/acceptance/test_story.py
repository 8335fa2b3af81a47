"""`omnibridge demo --story salesforce`: the whole story, and that its verdict can fail."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec
import pytest

from omnibridge import demo_stage
from omnibridge.errors import ConfigError

story = pytest.importorskip("connectors.salesforce_messaging.story.play")
from connectors.salesforce_messaging.story import verdict as judging  # noqa: E402
from connectors.salesforce_messaging.story.evidence import Evidence, Words  # noqa: E402

NAMES = {"bot_answered", "handed_over", "agent_shown_with_name_and_avatar", "choices_both_ways", "file_to_agent"}
NAMES |= {"file_to_visitor", "transferred", "back_at_the_bot", "closed", "contact_found", "case_made"}
NAMES |= {"transcript_attached", "files_on_case", "earlier_choice_shown_to_agent"}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Evidence]:
    """What the story judged by."""
    found: list[Evidence] = []

    def judge(evidence: Evidence) -> dict[str, Any]:
        found.append(evidence)
        return judging.judge(evidence)

    monkeypatch.setattr(story, "judge", judge)
    return found


def test_salesforce_story_holds_in_every_ledger_and_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], seen: list[Evidence]
) -> None:
    asked: set[str] = set()
    connect = socket.socket.connect

    def watched(self: socket.socket, address: Any) -> None:
        asked.add(address[0] if isinstance(address, tuple) else "a file")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", watched)
    code = demo_stage.run_story("salesforce", once=True, as_json=True, hub_version="8.3")
    verdict = msgspec.json.decode(capsys.readouterr().out)
    wrong = {
        f"{part}: {name}" for part in ("messaging", "live_agent") for name, held in verdict[part].items() if not held
    }

    assert wrong == {f"{part}: {name}" for part in ("messaging", "live_agent") for name in judging.COUNTS}
    assert (code, verdict["ok"]) == (0, True)
    assert (verdict["lost"], verdict["doubled"], verdict["out_of_order"]) == (0, 0, 0)
    assert NAMES <= set(verdict["messaging"]) == set(verdict["live_agent"])
    assert asked <= {"127.0.0.1", "a file"}
    _verdict_can_fail(*seen)


def _verdict_can_fail(*seen: Evidence) -> None:
    """Each check sees when what it looks at is not in the ledgers."""
    assert [each.protocol for each in seen] == ["messaging", "live_agent"]
    for each in seen:
        desk, nobody = each.desk, {**each.crm, "records": {**each.crm["records"], "Case": []}}
        faceless = {name: {**user, "avatar_sha256": "0"} for name, user in each.users.items()}
        said = [message for message in each.room["messages"] if message["kind"] != "bot"]
        silent = each._replace(room={**each.room, "messages": said, "open": True})
        without = {
            "bot_answered": silent,
            "handed_over": each._replace(desk=desk._replace(facts={})),
            "history_shown_to_agent": each._replace(desk=desk._replace(history="")),
            "earlier_choice_shown_to_agent": each._replace(desk=desk._replace(history="Visitor: 1")),
            "queue_position_told": silent,
            "words_waited_for_agent": each._replace(desk=desk._replace(heard=desk.heard[1:])),
            "agent_shown_with_name_and_avatar": each._replace(users=faceless),
            "choices_both_ways": each._replace(desk=desk._replace(asked=[])),
            "file_to_agent": each._replace(desk=desk._replace(files=[])),
            "file_to_visitor": silent._replace(files=[]),
            "transferred": each._replace(desk=desk._replace(served=desk.served[:1])),
            "agent_ended": each._replace(desk=desk._replace(is_over=False)),
            "back_at_the_bot": silent,
            "closed": silent,
            "contact_found": each._replace(contact="another"),
            "case_made": each._replace(crm=nobody),
            "transcript_attached": silent,
            "files_on_case": each._replace(crm=nobody),
        }
        assert set(without) == set(judging.CHECKS)
        assert [name for name, evidence in without.items() if judging.judge(evidence)[name]] == []
        lost = each._replace(desk=desk._replace(heard=desk.heard[1:]))
        doubled = each._replace(desk=desk._replace(heard=[*desk.heard, desk.heard[0]]))
        swapped = each._replace(desk=desk._replace(heard=desk.heard[::-1]))
        unheard = each._replace(desk=desk._replace(said=[*desk.said, Words("Alex Agent", "never shown")]))
        assert [judging.counted(evidence)[:2] for evidence in (lost, doubled, unheard)] == [(1, 0), (0, 1), (1, 0)]
        assert judging.counted(swapped)[2] > 0
        assert not judging.summed({each.protocol: judging.judge(lost)})["ok"]


def test_story_that_is_not_there_and_an_extra_that_is_not_installed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"there are: .*salesforce"):
        demo_stage.run_story("novel", once=True, as_json=True, hub_version="8.3")
    monkeypatch.setattr(story, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install"):
        demo_stage.run_story("salesforce", once=True, as_json=True, hub_version="8.3")


def test_story_that_stops_is_told_and_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def nobody(chapter: Any) -> None:
        raise TimeoutError("nobody accepts")

    monkeypatch.setattr(demo_stage, "LIMIT_S", 0.5)
    monkeypatch.setattr(story.Messaging, "_with_alex", nobody)
    monkeypatch.setattr(story.LiveAgent, "play", nobody)
    code = demo_stage.run_story("salesforce", once=True, as_json=True, hub_version="8.3")
    printed = capsys.readouterr()
    verdict = msgspec.json.decode(printed.out)
    messaging = verdict["messaging"]

    assert (code, verdict["ok"]) == (1, False)
    assert messaging["problem"] == verdict["live_agent"]["problem"] == "nobody accepts"
    assert messaging["bot_answered"] and messaging["history_shown_to_agent"] and not messaging["handed_over"]
    assert "!! nobody accepts" in printed.err


def test_mapping_of_the_story_goes_with_the_package() -> None:
    folder = Path(story.__file__).parent

    assert (folder / "mapping.toml").is_file()
