"""What is said of a value that is not as documented: our words, by the kind of error that pydantic finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

VISIBLE: Final = r"^[!-~]+$"
SAYING: Final = r"^[^\x00-\x1f\x7f]*[^\x00-\x20\x7f][^\x00-\x1f\x7f]*$"
PRINTABLE: Final = r"^[^\x00-\x1f\x7f]*$"
ATTEMPT: Final = r"^[A-Za-z0-9_-]+$"
ALIAS: Final = r"^[a-z][a-z0-9_]*$"
ADDRESS: Final = r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?([/?#][!#-;=?-\[\]-~]*)?$"
CODE: Final = r"^[0-9A-Za-z]{4}[- ]?[0-9A-Za-z]{4}$"
BROWSER: Final = r"^[0-9a-f]{64}$"
EMAIL: Final = r"^[!-?A-~]+@[!-?A-~]+$"
EVENT: Final = r"^(0|[1-9][0-9]{0,15})$"

FORMS: Final = {
    VISIBLE: "letters, digits and signs of ASCII alone, without spaces",
    SAYING: "one line that says something, without control characters",
    PRINTABLE: "one line, without control characters",
    ATTEMPT: "letters, digits, _ and - alone, of ASCII",
    ALIAS: "a-z, 0-9 and _ alone, a letter first",
    ADDRESS: "an address of http:// or https://, of ASCII alone",
    CODE: "eight letters and digits, as the browser's user was shown them",
    BROWSER: "a browser's name: 64 of the characters 0-9 and a-f",
    EMAIL: "an e-mail address, of ASCII alone",
    EVENT: "the `id` of an event: a whole number",
}
"""What each form is in words."""

KINDS: Final[Mapping[str, str]] = {
    "missing": "it is needed here",
    "extra_forbidden": "nothing here has this name",
    "string_type": "write a string",
    "string_unicode": "write a string of valid Unicode",
    "string_too_short": "{min_length} or more characters",
    "string_too_long": "{max_length} characters at most",
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "int_parsing": "write a whole number",
    "int_parsing_size": "write a smaller number",
    "float_parsing": "write a number",
    "finite_number": "write a number",
    "greater_than": "more than {gt}",
    "greater_than_equal": "{ge} or more",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "enum": "one of {expected}",
    "literal_error": "it can only be {expected}",
    "list_type": "write a list",
    "dict_type": "write an object",
    "model_attributes_type": "write an object",
    "too_short": "{min_length} or more of them",
    "too_long": "{max_length} of them at most",
}
"""Every kind that a request, or a setting, can have, filled with what pydantic knows of it."""

UNKNOWN: Final = "it is not as documented"


def said_of(found: Mapping[str, Any]) -> str:
    """Say what should be where pydantic found an error; what was there is not repeated."""
    match found["type"]:
        case "value_error":  # one of ours
            return str(found["msg"]).removeprefix("Value error, ")
        case "string_pattern_mismatch":
            return FORMS.get(found["ctx"]["pattern"], UNKNOWN)
        case kind:
            return KINDS.get(kind, UNKNOWN).format(**found.get("ctx", {}))
