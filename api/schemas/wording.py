"""What is said of a value that is not as documented: our words, by the kind of error that pydantic finds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from api.schemas.fields import FORMS

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
"""Every kind that a request's shapes can have, filled with what pydantic knows of it."""

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
