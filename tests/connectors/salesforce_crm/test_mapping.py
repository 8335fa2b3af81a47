"""The mapping file: the sample is taken, and each thing that can be wrong is refused with its line and the reason."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from connectors.salesforce_crm.mapping import Mapping, parse_mapping
from connectors.salesforce_crm.plan import Operation, Place, Skipped, looks, phone_forms, plan_write
from connectors.salesforce_crm.settings import SalesforceCrmSettings
from connectors.salesforce_crm.transcript import parts_of, shown
from connectors.salesforce_crm.values import ValueProblem, email, fill, phone, read_value
from omnibridge.connector import Line
from tests.connectors.salesforce_crm.orgs import FACTS, SAMPLE


def test_sample_is_that_of_the_readme() -> None:
    readme = (Path(__file__).parents[3] / "connectors" / "salesforce_crm" / "README.md").read_text("utf-8")
    assert SAMPLE.strip() in readme
    assert [each.record for each in parse_mapping(SAMPLE).write] == ["person", "case", "case"]


def line_of(text: str) -> int:
    found = [n for n, line in enumerate(SAMPLE.split("\n"), 1) if line.startswith(text)]
    assert found, text
    return found[0]


WRONG = [
    # what is replaced, by what, line that begins so afterwards, what is said
    ('key_field = "Omnibridge_Key__c"', 'key_field = "Id"', "key_field", "must be a custom field"),
    ('on_several = "none"', 'on_several = "some"', "on_several", "Invalid enum value"),
    ('object = "Contact"\nfield = "Ch', 'objekt = "Contact"\nfield = "Ch', "[[find]]", "objekt"),
    ('field = "Chat_Key__c"', 'field = "Chat Key"', "field", "is not an API name"),
    ('field = ["Phone", "MobilePhone"]', "field = []", "field = [", "one to five fields"),
    ('value = "visitor_email"', 'value = "visitor_mail"', 'value = "visitor_email"', 'did you mean "visitor_email"?'),
    ('kind = "phone"', 'kind = "fax"', 'kind = "phone"', "Invalid enum value"),
    ('region = "DE"', 'region = "Germany"', "region", "two capital letters"),
    ('kind = "email"', 'kind = "email"\nregion = "DE"', 'kind = "email"', "only goes with kind"),
    ('when = ["handover"]', 'when = ["later"]', 'when = ["handover"]', "Invalid enum value"),
    ('when = ["handover"]', "when = []", 'when = ["handover"]', "name at least one"),
    ('LeadSource = "Chat"', '"Lead Source" = "Chat"', "LeadSource", "is not the API name of a field"),
    ('LeadSource = "Chat"', 'Id = "Chat"', "LeadSource", "is set by us"),
    ('LeadSource = "Chat"', "LeadSource = [1]", "LeadSource", "must be a text, a number"),
    ('LeadSource = "Chat"', 'LeadSource = { fact = "x" }', "LeadSource", 'there is no fact "x"'),
    ('LeadSource = "Chat"', "LeadSource = { max = 3 }", "LeadSource", "exactly one of fact, template, record"),
    ('LeadSource = "Chat"', 'LeadSource = { fact = "room", max = 0 }', "LeadSource", "max: 1 to"),
    ('LeadSource = "Chat"', 'LeadSource = { fact = "room", as = "date" }', "LeadSource", "Invalid enum value"),
    ('LeadSource = "Chat"', 'LeadSource = { template = "{" }', "LeadSource", "a brace is alone"),
    ('LeadSource = "Chat"', 'LeadSource = { template = "{__class__}" }', "LeadSource", "there is no fact"),
    ('LeadSource = "Chat"', 'LeadSource = { fact = "room", field = "X" }', "LeadSource", "go with record"),
    ('ContactId = { record = "person" }', 'ContactId = { record = "nobody" }', "ContactId", 'no [[find]] or [[write]]'),
    ('ContactId = { record = "person" }', 'ContactId = { record = "person", field = "a b" }', "ContactId", "API name"),
    ('record = "case"\nobject = "Case"\nwhen = ["close"]', 'record = "case"\nobject = "Task"\nwhen = ["close"]',
     "", 'one record has one object'),
    ('object = "Case"\nwhen = ["handover"]', 'object = "ContentVersion"\nwhen = ["handover"]', 'object = "Case"',
     "files are written by"),
    ('max = 400', "max = 100", "max = 400", "200 to"),
    ('max = 400', "max = 40000", "max = 400", "takes 32000"),
    ('max = 400', 'max = 400\nline = "{name}"', "max = 400", "must have {text}"),
    ('timezone = "Europe/Berlin"', 'timezone = "Berlin"', "timezone", "no such time zone"),
    ('Status = "Completed"', 'Description = "x"', 'Status = "Completed"', "holds the transcript itself"),
    ('object = "Task"\nwhen = "close"', 'object = "ContentVersion"\nwhen = "live"', "when", "when all is said"),
    ('facts = { vip = "VIP__c"', 'facts = { VIP = "VIP__c"', "facts", "lower-case letters"),
    ('records = ["case", "person"]', 'records = ["cas"]', "records", "no [[find]] or [[write]]"),
    ('records = ["case", "person"]', 'path = "/x"', "records", "{id}"),
    ('LeadSource = "Chat"', 'LeadSource = { fact = "room", region = "DE" }', "LeadSource", "region goes with"),
    ('LeadSource = "Chat"', 'LeadSource = { fact = "room", as = "phone", region = "de" }', "LeadSource", "two capital"),
    ('LeadSource = "Chat"', 'LeadSource = { fact = "room", as = "number", max = 3 }', "LeadSource", "max does nothing"),
    ('ContactId = { record = "person" }', 'ContactId = { record = "person", default = "x" }', "ContactId",
     "default does nothing"),
    ('LeadSource = "Chat"', 'omnibridge_key__C = "Chat"', "LeadSource", "is set by us"),
    ('LeadSource = "Chat"', 'EMAIL = "Chat"', "LeadSource", "is there twice"),
    ('object = "Task"\nwhen = "close"', 'object = "ContentVersion"\nwhen = "close"', "field",
     "does nothing for a file"),
    ('object = "Task"\nwhen = "close"', 'object = "Chat__c"\nwhen = "close"\nescape = "htm"', "", "Invalid enum value"),
    ('object = "Task"\nwhen = "close"\nfield = "Description"\nmax = 400',
     'object = "Chat__c"\nwhen = "close"\nfield = "Text__c"\nmax = 140000', "", "takes 131072"),
    ('facts = { vip = "VIP__c"', 'facts = { age_s = "VIP__c"', "facts", "take another name"),
    ('fact = "open_cases"', 'fact = "record_id"', "fact", "is used once"),
    ('records = ["case", "person"]', 'records = []', "records", "name at least one"),
    ('records = ["case", "person"]', 'records = ["case"]\npath = "/{id}/{name}"', "records", "not {name}"),
    ('[link]', '[erase]\nkeep = ["Cas"]\n[link]', "", "nothing here makes a Cas"),
    ('[link]', '[erase]\nkeep = ["Case"]\nblank = ["Case"]\n[link]', "", "is in keep too"),
    ('[link]', '[files]\nrecord = "case"\n[erase]\nblank = ["ContentVersion"]\n[link]', "", "cannot be made empty"),
    ('[link]', '[files]\nrecord = "case"\nmax_bytes = 50_000_000\n[link]', "", "1 to 27000000"),
    ('when = ["handover"]', 'when = ["handover"]\nif_found = "update"\nduplicates = "save"', "",
     'no [[find]] of "case" has verified'),
    ('when = ["handover"]', 'when = ["handover"]\nif_labelled = "create"\nduplicates = "save"', "",
     'no [[find]] of "case" is without'),
    ('[link]', "[links]", "[link]", "links"),
    ('[link]', "[link", "[link]", "Expected"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "begins", "says"), WRONG, ids=[str(n) for n in range(len(WRONG))])
def test_wrong_mapping_is_refused_with_line_and_reason(old: str, new: str, begins: str, says: str) -> None:
    assert old in SAMPLE
    with pytest.raises(ValueError, match=re.escape(says)) as caught:
        parse_mapping(SAMPLE.replace(old, new, 1))
    found = re.search(r"mapping line (\d+)", str(caught.value))

    assert found is not None, str(caught.value)
    if begins:
        first = next(n for n, each in enumerate(SAMPLE.replace(old, new, 1).split("\n"), 1) if each in new.split("\n")
                     or each.startswith(new.split("\n")[0]))  # fmt: skip
        assert abs(int(found.group(1)) - first) <= 2, str(caught.value)


def test_empty_mapping_and_reference_to_a_later_record_are_refused() -> None:
    with pytest.raises(ValueError, match="nothing is looked for"):
        parse_mapping("")
    with pytest.raises(ValueError, match='refers to "b", which is written later'):
        parse_mapping(
            '[[write]]\nrecord = "a"\nobject = "Task"\n[write.fields]\nWhatId = { record = "b" }\n'
            '[[write]]\nrecord = "b"\nobject = "Case"\n[write.fields]\nSubject = "x"\n'
        )


GIVEN = {"url": "https://acme.my.salesforce.com", "client_id": "i", "client_secret": "s", "mapping": SAMPLE}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"url": "http://acme.my.salesforce.com"}, "url must begin with https://"),
        ({"url": "https://acme.my.salesforce.com/services"}, "bare address"),
        ({"url": "https://login.salesforce.com"}, "My Domain"),
        ({"client_secret": ""}, "client_secret is missing"),
        ({"flow": "jwt"}, "needs username and private_key"),
        ({"flow": "password"}, "Invalid enum value"),
        ({"api_version": "v62"}, "api_version"),
        ({"workers": 0}, "workers"),
        ({"read_timeout_s": 0}, "read_timeout_s"),
        ({"mapping": "x = 1"}, "unknown field `x`"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, Any], says: str) -> None:
    assert msgspec.convert(GIVEN, SalesforceCrmSettings).flow == "client_credentials"
    with pytest.raises(msgspec.ValidationError, match=re.escape(says)):
        msgspec.convert({**GIVEN, **change}, SalesforceCrmSettings)


def filled(raw: Any, **facts: Any) -> Any:
    return fill(read_value(raw), {**FACTS, **facts})


def test_values() -> None:
    assert filled("Chat") == "Chat" and filled(True) is True and filled(3) == 3
    assert filled({"fact": "visitor_name"}) == "Vera Visitor"
    assert filled({"fact": "visitor_name", "max": 4}) == "Vera"
    assert filled({"fact": "visitor_name", "default": "V"}, visitor_name="") == "V"
    assert filled({"fact": "visitor_name"}, visitor_name=None) is None
    assert filled({"fact": "visitor_email", "as": "email"}) == "vera@example.com"
    assert filled({"fact": "visitor_email", "as": "email", "default": "?"}, visitor_email="vera at home") == "?"
    assert filled({"fact": "room.csat", "as": "number"}) == 4
    assert filled({"fact": "room.csat", "as": "number"}, **{"room.csat": "good"}) is None
    assert filled({"fact": "room.vip", "as": "boolean"}, **{"room.vip": "Yes"}) is True
    assert filled({"fact": "room.vip", "as": "boolean"}, **{"room.vip": "perhaps"}) is None
    assert filled({"fact": "visitor.phone", "as": "phone", "region": "DE"}) == "+4930123456"
    assert filled({"template": "{{{visitor_name|nobody}}} / {room.none|none}"}) == "{Vera Visitor} / none"


def test_what_visitors_wrote_stays_text() -> None:
    hostile = "<b>{room}\x00\x1b[31m\u202eVera</b>"
    assert filled({"fact": "visitor_name"}, visitor_name=hostile) == "<b>{room}[31mVera</b>"
    assert filled({"template": "Hi {visitor_name}", "escape": "html"}, visitor_name=hostile) == (
        "Hi &lt;b&gt;{room}[31mVera&lt;/b&gt;"
    )
    assert filled({"fact": "visitor_name", "escape": "html"}, visitor_name="<i>") == "&lt;i&gt;"
    with pytest.raises(ValueProblem):
        read_value({"template": "{visitor_name.__class__}"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" Vera@Example.COM ", "vera@example.com"),
        ("a@b", None),
        ("o'neill@b.example", "o'neill@b.example"),
        ("a.@b.example", None),
        ("ü@b.example", None),
        ("a@b..c", None),
        ("a' OR Name != '@b.c", None),
        ("a@b.c\nd@e.f", None),
        ("x" * 80 + "@b.c", None),
    ],
)
def test_email_addresses(text: str, expected: str | None) -> None:
    assert email(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("030 123456", "+4930123456"),
        ("+49 (30) 123456", "+4930123456"),
        ("+1 650 253 0000", "+16502530000"),
        ("12", None),
        ("not a number", None),
        ("9" * 60, None),
    ],
)
def test_phone_numbers(text: str, expected: str | None) -> None:
    assert phone(text, "DE") == expected


def test_phone_forms_are_as_people_write_them() -> None:
    assert phone_forms("+4930123456", "DE") == ["+4930123456", "+49 30 123456", "030 123456", "030123456"]
    # In Austria 030 123456 is somebody else, and without a region nobody knows who.
    assert phone_forms("+4930123456", "AT") == phone_forms("+4930123456", "") == ["+4930123456", "+49 30 123456"]


def test_looks_leave_out_what_is_not_known_or_malformed() -> None:
    mapping = parse_mapping(SAMPLE)
    found = looks(mapping, {"visitor_email": "not one", "visitor.phone": "030 1234567"}, "person")

    assert [each.find.kind for each in found] == ["phone"]


def planned(mapping: Mapping, place: Place | None, index: int = 0) -> Operation | Skipped:
    return plan_write(mapping, index, FACTS, place, "c" * 32, "v" * 32)


def test_plan_is_pure_and_keys_are_ours() -> None:
    mapping = parse_mapping(SAMPLE)
    person, case = planned(mapping, None), planned(mapping, None, 1)
    assert isinstance(person, Operation) and isinstance(case, Operation)
    assert (person.how, person.key, case.key) == ("upsert", "v" * 32 + "-person", "c" * 32 + "-case")
    assert planned(mapping, None) == person

    found, label = Place("Contact", "003" + "0" * 12), Place("Contact", "003" + "0" * 12, label=True)
    update, skipped = planned(mapping, found), planned(mapping, label)
    assert isinstance(update, Operation) and (update.how, update.record_id) == ("update", found.id)
    assert isinstance(skipped, Skipped) and "only linked to" in skipped.why
    assert isinstance(planned(mapping, Place("Lead", found.id)), Skipped)


def test_parts_are_the_same_for_the_same_lines_and_only_the_last_one_grows() -> None:
    transcript = parse_mapping(SAMPLE).transcript
    assert transcript is not None
    lines = [Line(n, n * 1000, "visitor", f"line {n} " + "x" * 90) for n in range(1, 30)]
    whole = parts_of(lines, transcript)
    for cut in range(1, 29):
        before = parts_of(lines[:cut], transcript)
        assert before[:-1] == whole[: len(before) - 1]
        start = before[-1].first
        rest = parts_of([each for each in lines if each.id >= start], transcript, before[-1].number)
        assert [*before[:-1], *rest] == whole
    assert "\n".join(each.text for each in whole).count("line ") == 29
    assert all(len(each.text) <= transcript.max for each in whole)


def test_line_is_one_line_of_the_form_and_a_long_one_is_cut() -> None:
    transcript = parse_mapping(SAMPLE).transcript
    assert transcript is not None
    hostile = Line(1, 0, "agent", "{name} {time}\x1b[0m", "Al{text}ice")
    assert shown(hostile, transcript) == "[1970-01-01 01:00:00] Al{text}ice: {name} {time}[0m"
    assert len(shown(Line(1, 0, "visitor", "x" * 1000), transcript)) <= transcript.max
