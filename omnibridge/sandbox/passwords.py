"""The password policy, on by default. Source: rocketchat-api 3.2; the rules were read in `PasswordPolicyClass`."""

from __future__ import annotations

import re
import secrets
import string

from omnibridge.sandbox.state import HubError

MIN_LENGTH = 14
MAX_REPEATED = 3

_NOT_MET = "error-password-policy-not-met"
_NEEDED = {"OneLowercase": "[a-z]", "OneUppercase": "[A-Z]", "OneNumber": "[0-9]", "OneSpecial": "[^A-Za-z0-9 ]"}


def check(password: str, *, is_enforced: bool) -> None:
    """Raises HubError; what is missing is in `details`."""
    reasons = []
    if is_enforced:
        if len(password) < MIN_LENGTH:
            reasons.append("minLength")
        if re.search(rf"(.)\1{{{MAX_REPEATED},}}", password):
            reasons.append("repeatingCharacters")
        reasons += [name for name, pattern in _NEEDED.items() if not re.search(pattern, password)]
    if reasons or not password.strip():
        text = "The password provided does not meet the server's password policy."
        raise HubError(_NOT_MET, text, details={"reasons": [{"error": f"{_NOT_MET}-{each}"} for each in reasons]})


def random_password() -> str:
    """What `setRandomPassword` gives: it meets the policy."""
    alphabet = string.ascii_letters + string.digits
    return "aA1!" + "".join(secrets.choice(alphabet) for _ in range(24))
