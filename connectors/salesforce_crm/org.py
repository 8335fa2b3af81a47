"""A small org in memory: objects with their rules, records, and every change ever made. For the simulator."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import time
from collections.abc import Callable
from typing import Any

from connectors.salesforce.ids import long_or_same

long_id = long_or_same
PREFIXES = {
    "Account": "001", "Contact": "003", "Lead": "00Q", "Case": "500", "Task": "00T", "ContentVersion": "068",
    "ContentDocument": "069", "ContentDocumentLink": "06A", "User": "005", "Group": "00G", "ServiceChannel": "0N9",
    "PendingServiceRouting": "0JR", "AgentWork": "0Bz", "UserServicePresence": "0N5", "SkillRequirement": "0Hx",
    "ServicePresenceStatus": "0N6", "ServiceChannelStatus": "0N7",
    "Skill": "0C5",
}  # fmt: skip
REQUIRED = {
    "Contact": ("LastName",),
    "Lead": ("LastName", "Company"),
    "Task": (),
    "Case": (),
    "Account": (),
    "ContentVersion": ("Title", "PathOnClient", "VersionData"),
    "ContentDocumentLink": ("ContentDocumentId", "LinkedEntityId"),
    "PendingServiceRouting": ("WorkItemId", "ServiceChannelId"),
    "AgentWork": ("WorkItemId", "ServiceChannelId", "UserId"),
    "SkillRequirement": ("RelatedRecordId", "SkillId"),
}
_PERSON = {"FirstName", "LastName", "Email", "Phone", "MobilePhone", "LeadSource", "Description", "OwnerId"}
FIELDS = {
    "Contact": _PERSON | {"AccountId"},
    "Lead": _PERSON | {"Company", "Status", "IsConverted", "ConvertedContactId"},
    "Account": {"Name", "FirstName", "LastName", "PersonEmail", "PersonMobilePhone", "Phone", "RecordTypeId", "OwnerId"}
    | {"IsPersonAccount", "PersonContactId", "Description"},
    "Case": {"Subject", "Description", "Status", "Origin", "Priority", "ContactId", "AccountId", "OwnerId"}
    | {"RecordTypeId", "ParentId", "SuppliedName", "SuppliedEmail", "SuppliedPhone", "IsClosed", "CaseNumber"},
    "Task": {"WhoId", "WhatId", "Subject", "Status", "Priority", "Description", "ActivityDate", "TaskSubtype"}
    | {"OwnerId"},
    "ContentVersion": {"Title", "PathOnClient", "VersionData", "FirstPublishLocationId", "ContentDocumentId"}
    | {"Description"},
    "ContentDocument": {"Title"},
    "ContentDocumentLink": {"ContentDocumentId", "LinkedEntityId", "ShareType", "Visibility"},
    "User": {"Name", "Email", "IsActive", "UserType"},
    "Group": {"Name", "DeveloperName", "Type"},
    "ServiceChannel": {"MasterLabel", "DeveloperName"},
    "ServiceChannelStatus": {"ServiceChannelId", "ServicePresenceStatusId"},
    "ServicePresenceStatus": {"MasterLabel", "DeveloperName"},
    "Skill": {"MasterLabel", "DeveloperName"},
    "SkillRequirement": {"RelatedRecordId", "SkillId", "SkillLevel"},
    "UserServicePresence": {"UserId", "ServicePresenceStatusId", "IsCurrentState", "IsAway", "ConfiguredCapacity"}
    | {"StatusStartDate"},
    "PendingServiceRouting": {"WorkItemId", "ServiceChannelId", "GroupId", "RoutingType", "RoutingModel", "OwnerId"}
    | {
        "RoutingPriority",
        "CapacityWeight",
        "PreferredUserId",
        "IsPreferredUserRequired",
        "PushTimeout",
        "IsReadyForRouting",
        "IsPushed",
    }
    | {"IsPushAttempted", "IsTransfer", "LastDeclinedAgentSession", "Serial", "CustomRequestedDateTime"},
    "AgentWork": {"UserId", "WorkItemId", "ServiceChannelId", "PendingServiceRoutingId", "CapacityWeight", "Status"},
}
"""Standard fields of standard objects. Everything that ends in __c is there."""

ORG = "00D5g000000SandEAA"
"""Its own id."""
OUR_USER = "005000000000001AAA"
"""Who is logged in."""
READ_ONLY = {"Id", "CreatedById", "CreatedDate", "LastModifiedDate", "CaseNumber", "IsClosed", "PersonContactId"}
READ_ONLY_OF = {
    "PendingServiceRouting": {"GroupId", "IsPushed", "IsPushAttempted", "LastDeclinedAgentSession", "Serial"},
    "AgentWork": {"Status"},
}
"""By object; the object reference says so of both."""

LENGTHS = {
    "LastName": 80,
    "FirstName": 40,
    "Email": 80,
    "Phone": 40,
    "MobilePhone": 40,
    "Company": 255,
    "Name": 255,
    "PersonEmail": 80,
    "PersonMobilePhone": 40,
    "SuppliedName": 80,
    "SuppliedEmail": 80,
    "SuppliedPhone": 40,
    "Subject": 255,
    "Description": 32_000,
    "Title": 255,
    "Nick__c": 20,
}
"""Nick__c is a short custom field."""
EMAILS = {"Email", "PersonEmail", "SuppliedEmail"}
_EMAIL = re.compile(r"[A-Za-z0-9!#$%&'*/=?^_+`{|}~.-]{1,64}@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]{2,}")
_WORDS = re.compile(r"(^|\.)\.|\.@|@-|-\.|\.-")
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


class Refused(Exception):
    """status, errorCode, message, and further keys of the error."""

    def __init__(self, code: str, message: str, status: int = 400, **more: Any) -> None:
        super().__init__(message)
        self.status, self.body = status, [{"message": message, "errorCode": code, "fields": [], **more}]


class Org:
    """records: by object and id. changes: what was made, changed and deleted, in order; nothing else is in it.
    custom: fields that `describe` tells; others are taken all the same. assignee: who gets cases, leads and accounts
    by the active assignment rules, at each call that does not forbid it; '' = there are none. gone: deleted ids."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, dict[str, Any]]] = {}
        self.changes: list[dict[str, Any]] = []
        self.uploads: dict[str, bytes] = {}
        self.duplicate_rule = False
        self.assignee = ""
        self.gone: set[str] = set()
        self.custom = {"Omnibridge_Key__c", "Chat_Key__c", "VIP__c", "Level__c", "Seen__c", "Csat__c", "Tags__c"}
        self._n = 0
        self.listeners: list[Callable[[str, str, str, list[str]], None]] = []

    def of(self, name: str) -> dict[str, dict[str, Any]]:
        if name not in FIELDS and not name.endswith("__c"):
            raise Refused("NOT_FOUND", "The requested resource does not exist", 404)
        return self.records.setdefault(name, {})

    def create(self, name: str, data: dict[str, Any], *, allow_duplicates: bool = False) -> str:
        """Its id. Raises Refused."""
        records = self.of(name)
        self._check(name, data)
        for field in REQUIRED.get(name, ()):
            if not data.get(field):
                raise Refused("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{field}]", fields=[field])
        self._unique(name, data, "")
        if not allow_duplicates:
            self._no_duplicate(name, data, "")
        record_id = self._next_id(name)
        now = _now(self._n)
        record = {"Id": record_id, **data, "CreatedDate": now, "LastModifiedDate": now, "CreatedById": OUR_USER}
        if name == "Case":
            record |= {"CaseNumber": f"{self._n:08}", "IsClosed": data.get("Status") == "Closed"}
        if name == "Account" and (data.get("LastName") or data.get("PersonEmail")):
            record |= {"IsPersonAccount": True, "PersonContactId": self._next_id("Contact")}
        if name == "ContentVersion":
            self._publish(record)
        records[record_id] = record
        self._changed("create", name, record_id, sorted(data))
        return record_id

    def update(self, name: str, record_id: str, data: dict[str, Any], *, allow_duplicates: bool = False) -> None:
        record = self.get(name, record_id)
        self._check(name, data)
        self._not_emptied(name, record, data)
        if name == "Lead" and record.get("IsConverted"):
            raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
        if not allow_duplicates:
            self._no_duplicate(name, data, record["Id"])
        if name == "ContentVersion" and "VersionData" in data:
            raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", "VersionData cannot be updated: make a new version")
        self._unique(name, data, record["Id"])
        changed = sorted(field for field, value in data.items() if record.get(field) != value)
        record.update(data)
        if name == "Case":
            record["IsClosed"] = record.get("Status") == "Closed"
        if changed:
            self._n += 1
            record["LastModifiedDate"] = _now(self._n)
            self._changed("update", name, record["Id"], changed)

    def upsert(self, name: str, field: str, value: str, data: dict[str, Any], **options: Any) -> tuple[str, bool]:
        """(id, created)."""
        if field in data or "Id" in data:
            raise Refused("INVALID_FIELD", f"The {field} field should not be specified in the sobject data.")
        found = self.by_key(name, field, value)
        if len(found) > 1:
            raise Refused("MULTIPLE_CHOICES", "several records", 300)
        if found:
            self.update(name, found[0]["Id"], data, **options)
            return str(found[0]["Id"]), False
        return self.create(name, {**data, field: value}, **options), True

    def by_key(self, name: str, field: str, value: str) -> list[dict[str, Any]]:
        if not field.endswith("__c"):
            raise Refused("NOT_FOUND", f"Provided external ID field does not exist or is not accessible: {field}", 404)
        return [each for each in self.of(name).values() if each.get(field) == value]

    def get(self, name: str, record_id: str) -> dict[str, Any]:
        found = self.of(name).get(record_id if len(record_id) == 18 else long_id(record_id))
        if found is None and long_id(record_id) in self.gone:
            raise Refused("ENTITY_IS_DELETED", "entity is deleted", 404)
        if found is None:
            raise Refused("NOT_FOUND", "Provided external ID field does not exist or is not accessible", 404)
        return found

    def delete(self, name: str, record_id: str) -> None:
        record = self.get(name, record_id)
        if name == "ContentVersion":
            raise Refused("CANNOT_DELETE", "delete the ContentDocument", 400)
        if name in ("Contact", "Account") and any(
            record["Id"] in (each.get("ContactId"), each.get("AccountId")) for each in self.of("Case").values()
        ):
            raise Refused("DELETE_FAILED", "Your attempt to delete could not be completed: it has cases")
        del self.of(name)[record["Id"]]
        self.gone.add(record["Id"])
        if name == "ContentDocument":
            for each in [v for v in self.of("ContentVersion").values() if v["ContentDocumentId"] == record["Id"]]:
                del self.of("ContentVersion")[each["Id"]]
        self._changed("delete", name, record["Id"], [])

    def _check(self, name: str, data: dict[str, Any]) -> None:
        for field, value in data.items():
            if field in READ_ONLY | READ_ONLY_OF.get(name, set()):
                raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", f"Unable to create/update fields: {field}")
            if name in FIELDS and field not in FIELDS[name] and not field.endswith("__c"):
                raise Refused("INVALID_FIELD", f"No such column '{field}' on sobject of type {name}")
            if isinstance(value, str) and len(value) > LENGTHS.get(field, 131_072):
                if field != "VersionData":
                    longest = LENGTHS.get(field, 131_072)
                    what = f"{field}: data value too large: {value[:255]} (max length={longest})"
                    raise Refused("STRING_TOO_LONG", what, fields=[field])
            if isinstance(value, str) and field.endswith("Id") and value and len(value) not in (15, 18):
                raise Refused("MALFORMED_ID", f"{field}: id value of incorrect type")
            if field in ("ContactId", "WhoId", "WhatId", "AccountId", "FirstPublishLocationId") and value:
                lead = self.of("Lead").get(long_id(str(value)), {})
                if lead.get("IsConverted"):
                    raise Refused("CANNOT_UPDATE_CONVERTED_LEAD", "cannot reference converted lead")
                if not self._exists(value):
                    raise Refused("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
            if field in EMAILS and value and (not _EMAIL.fullmatch(str(value)) or _WORDS.search(str(value))):
                raise Refused("INVALID_EMAIL_ADDRESS", f"{field}: invalid email address: {value}", fields=[field])

    def _not_emptied(self, name: str, record: dict[str, Any], data: dict[str, Any]) -> None:
        """What is required stays filled, a checkbox is true or false, a person has no Name beside his names."""
        is_person = bool(record.get("IsPersonAccount"))
        for field in ("LastName",) if is_person else REQUIRED.get(name, ()) + (("Name",) if name == "Account" else ()):
            if field in data and not data[field]:
                raise Refused("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{field}]", fields=[field])
        if is_person and "Name" in data:
            raise Refused("INVALID_FIELD_FOR_INSERT_UPDATE", "Account: bad field names on insert/update call: Name")
        for field, value in data.items():
            if value is None and isinstance(record.get(field), bool):
                raise Refused("JSON_PARSER_ERROR", "Cannot deserialize instance of boolean from VALUE_NULL value null")

    def _exists(self, record_id: str) -> bool:
        known = any(record_id in each for each in self.records.values())
        return known or any(each.get("PersonContactId") == record_id for each in self.of("Account").values())

    def _unique(self, name: str, data: dict[str, Any], own: str) -> None:
        """Fields that end in _Key__c are unique external ids."""
        for field, value in data.items():
            if field.endswith("_Key__c") and value:
                for each in self.of(name).values():
                    if each.get(field) == value and each["Id"] != own:
                        what = f"duplicate value found: {field} duplicates value on record with id: {each['Id']}"
                        raise Refused("DUPLICATE_VALUE", what)

    def _no_duplicate(self, name: str, data: dict[str, Any], own: str) -> None:
        """The rules compare contacts with leads too, and look at changes as well."""
        if not self.duplicate_rule or name not in ("Contact", "Lead") or not data.get("Email"):
            return
        results = []
        for other in ("Lead", "Contact"):
            same = [each["Id"] for each in self.of(other).values() if each.get("Email") == data["Email"]]
            matches = [{"record": {"attributes": {"type": other}, "Id": each}} for each in same if each != own]
            if matches:
                results.append({"entityType": other, "matchRecords": matches, "size": len(matches)})
        if results:
            result = {"allowSave": True, "matchResults": results}
            raise Refused("DUPLICATES_DETECTED", "Use one of these records?", duplicateResult=result)

    def _publish(self, record: dict[str, Any]) -> None:
        try:
            data = base64.b64decode(record.pop("VersionData"), validate=True)
        except (binascii.Error, ValueError, TypeError):
            raise Refused("JSON_PARSER_ERROR", "VersionData is not base64") from None
        if not record.get("ContentDocumentId"):
            document = self._next_id("ContentDocument")
            self.of("ContentDocument")[document] = {"Id": document, "Title": record["Title"]}
            record["ContentDocumentId"] = document
        record |= {"ContentSize": len(data), "Checksum": hashlib.md5(data, usedforsecurity=False).hexdigest()}
        self.uploads[record["Id"]] = data

    def _next_id(self, name: str) -> str:
        self._n += 1
        n, digits = self._n, ""
        while n:
            n, rest = divmod(n, 36)
            digits = _ALPHABET[rest] + digits
        return long_id(PREFIXES.get(name, "a00") + "5g" + digits.rjust(10, "0"))

    def _changed(self, how: str, name: str, record_id: str, fields: list[str]) -> None:
        self._tell(how, name, record_id, fields)
        self.changes.append({"n": len(self.changes), "how": how, "object": name, "id": record_id, "fields": fields})

    def _tell(self, how: str, name: str, record_id: str, fields: list[str]) -> None:
        """Whoever listens to changes; also to those that the platform makes by itself."""
        for each in self.listeners:
            each(how, name, record_id, fields)


def _now(n: int) -> str:
    """Never the same twice, so that "newest" is one."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime()) + f"{n:09}+0000"
