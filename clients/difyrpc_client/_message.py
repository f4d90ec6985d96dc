"""Makes messages of the contract; a value that does not fit into one is refused by the name of its argument."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, ParamSpec, TypeVar

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from difyrpc_client._errors import InvalidArgument

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Message)

SHOWN_CHARACTERS = 80  # of a refused value in a message
WRONG = (TypeError, ValueError, AttributeError, OverflowError)  # what protobuf raises for a value that does not fit

# Arguments whose field in the contract is called otherwise.
ARGUMENTS = {
    "FileSpec.display_name": "name",
    "ParseLimits.pages": "max_pages",
    "SearchRequest.k": "limit",
    "Tokens.cached_input": "cached_input_tokens",
    "Tokens.input": "input_tokens",
    "Tokens.output": "output_tokens",
    "Tokens.reasoning_output": "reasoning_output_tokens",
}
NUMBERS = {
    FieldDescriptor.CPPTYPE_INT32: "a whole number from -2147483648 to 2147483647",
    FieldDescriptor.CPPTYPE_UINT32: "a whole number from 0 to 4294967295",
    FieldDescriptor.CPPTYPE_INT64: "a whole number of 64 bits",
    FieldDescriptor.CPPTYPE_UINT64: "a whole number of 64 bits, 0 or more",
    FieldDescriptor.CPPTYPE_DOUBLE: "a number",
    FieldDescriptor.CPPTYPE_FLOAT: "a number",
    FieldDescriptor.CPPTYPE_BOOL: "true or false",
}


_TEXTS = {FieldDescriptor.TYPE_STRING: "text", FieldDescriptor.TYPE_BYTES: "bytes"}


def make(kind: Callable[P, M], /, *args: P.args, **fields: P.kwargs) -> M:
    """Makes a message; InvalidArgument names the argument whose value does not fit, and what does."""
    given: dict[str, Any] = dict(fields)
    descriptor: Descriptor = kind.DESCRIPTOR  # type: ignore[attr-defined]  # each kind is a class of messages
    for name in _lists(descriptor):
        if given.get(name) is not None:
            given[name] = list(several(given[name], _argument(descriptor.fields_by_name[name])))
    try:
        return kind(*args, **given)
    except WRONG as error:
        raise _refusal(kind, descriptor, given) or error from None


def several(values: Iterable[T], name: str) -> Iterable[T]:
    """Answers the values; InvalidArgument for a single text, whose letters would be taken one by one."""
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise wrong(name, values, "a list of values")
    return values


def wrong(name: str, value: object, possible: str) -> InvalidArgument:
    """Answers the error for an argument: what was given and what is possible."""
    return InvalidArgument(f"{name}={shown(value)} is {_kind(value)}; give {possible}")


def is_number(value: object) -> bool:
    """Answers whether a value is a number that can be compared; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)


def shown(value: object) -> str:
    """Answers the beginning of a value as Python writes it."""
    text = repr(value)
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"


def _kind(value: object) -> str:
    return "None" if value is None else f"of type {type(value).__name__}"


@cache
def _lists(descriptor: Descriptor) -> tuple[str, ...]:
    return tuple(field.name for field in descriptor.fields if field.is_repeated and not _is_map(field))


def _is_map(field: FieldDescriptor) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _refusal(kind: Any, descriptor: Descriptor, fields: dict[str, Any]) -> InvalidArgument | None:
    for name, value in fields.items():
        try:
            kind(**{name: value})
        except WRONG as error:
            return _named(descriptor.fields_by_name[name], value, error)
    return None


def _named(field: FieldDescriptor, value: object, error: Exception) -> InvalidArgument:
    name, secret = _argument(field), field.GetOptions().debug_redact
    stated = name if secret else f"{name}={shown(value)}"
    if isinstance(error, UnicodeEncodeError):
        return InvalidArgument(f"{stated} holds half a surrogate pair, which is no character; give whole characters")
    return InvalidArgument(f"{stated} does not fit; give {_possible(field)}")


def _possible(field: FieldDescriptor) -> str:
    if _is_map(field):
        return "a mapping with texts as keys"
    one = _TEXTS.get(field.type) or NUMBERS.get(field.cpp_type)
    if one is None:
        one = f"a {field.message_type.name}" if field.message_type else "one of its values"
    return f"a list, each {one}" if field.is_repeated else one


def _argument(field: FieldDescriptor) -> str:
    holder = field.containing_type.name if field.containing_type else ""
    return ARGUMENTS.get(f"{holder}.{field.name}", field.name)
