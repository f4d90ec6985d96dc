"""Reads settings from the environment into frozen dataclasses; names what is wrong and the choices.

A service writes a frozen keyword-only dataclass whose fields have defaults and a docstring each, and

    FilesSettings.from_env(env) → read(FilesSettings, env, prefix="DIFYRPC_FILES_")

The variable of a field is the prefix and the field's name in capitals. A field made with `secret()` may also be
given as a file: `NAME_FILE=/run/secrets/x`.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

Settings = TypeVar("Settings")

MISSPELT_LIKENESS = 0.85  # of two names, 0 to 1; DIFYRPC_LISTEM and DIFYRPC_LISTEN have 0.93
TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class SettingsError(ValueError):
    """A setting that cannot be used; the message names it, its value and the choices."""


class Asked(Mapping[str, str]):
    """An environment that remembers which names were looked up, so that misspelt ones can be told."""

    def __init__(self, env: Mapping[str, str]) -> None:
        """Wraps `env`."""
        self._env = env
        self._names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self._names.add(name)
        return self._env[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._env)

    def __len__(self) -> int:
        return len(self._env)

    def unread(self, prefix: str) -> dict[str, str]:
        """Answers the variables that nothing looked up, each with the name that was probably meant, or nothing."""
        mine = [name for name in self._env if name.startswith(prefix) and name not in self._names]
        near = {name: difflib.get_close_matches(name, self._names, 1, MISSPELT_LIKENESS) for name in sorted(mine)}
        return {name: close[0] if close else "" for name, close in near.items()}


def secret(default: str = "") -> Any:
    """Declares a text field that is never printed and may come from a file (`NAME_FILE`)."""
    return dataclasses.field(default=default, repr=False, metadata={"secret": True})


def at_least(minimum: float, default: Any) -> Any:
    """Declares a number that is refused below `minimum`."""
    return dataclasses.field(default=default, metadata={"minimum": minimum})


def read(kind: type[Settings], env: Mapping[str, str], *, prefix: str) -> Settings:
    """Makes one settings object out of the environment; SettingsError for the first wrong value."""
    hints = typing.get_type_hints(kind)
    values: dict[str, Any] = {}
    for field in dataclasses.fields(kind):  # type: ignore[arg-type]  # every Settings is a dataclass
        name = prefix + field.name.upper()
        text = _text(name, field, env)
        if text is not None:
            values[field.name] = _checked(name, field, parse(name, text, hints[field.name]))
    return kind(**values)


def parse(name: str, text: str, hint: Any) -> Any:
    """Turns the text of one variable into the type that its field declares."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return parse(name, text, next(argument for argument in arguments if argument is not type(None)))
    if origin is Literal:
        return _choice(name, text, arguments)
    if origin is tuple:
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if hint is bool:
        return _boolean(name, text)
    if hint in (int, float):
        return _number(name, text, hint)
    return Path(text) if hint is Path else text


def _text(name: str, field: dataclasses.Field[Any], env: Mapping[str, str]) -> str | None:
    file = env.get(name + "_FILE") if field.metadata.get("secret") else None
    if file and env.get(name):
        raise SettingsError(f"{name} and {name}_FILE are both set; keep one")
    if file:
        try:
            return Path(file).read_text().strip()
        except OSError as error:
            raise SettingsError(f"{name}_FILE={file}: cannot be read ({error.strerror})") from error
    return env.get(name) or None


def _checked(name: str, field: dataclasses.Field[Any], value: Any) -> Any:
    minimum = field.metadata.get("minimum")
    if minimum is not None and value < minimum:
        raise SettingsError(f"{name}={value} is too small; the least is {minimum}")
    return value


def _choice(name: str, text: str, choices: tuple[Any, ...]) -> Any:
    if text in choices:
        return text
    raise SettingsError(f"{name}={text!r} is not one of {', '.join(map(str, choices))}")


def _boolean(name: str, text: str) -> bool:
    word = text.lower()
    if word in TRUE | FALSE:
        return word in TRUE
    raise SettingsError(f"{name}={text!r} is not true or false")


def _number(name: str, text: str, kind: Callable[[str], Any]) -> Any:
    try:
        number = kind(text)
    except ValueError as error:
        raise SettingsError(f"{name}={text!r} is not a number") from error
    if not math.isfinite(number):
        raise SettingsError(f"{name}={text!r} is not a number that can be counted with")
    return number
