"""Settings: read from an environment, refused with name, value and choices."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from difyrpc_services.runtime.settings import SettingsError, at_least, read, secret


@dataclass(frozen=True, kw_only=True)
class Example:
    size: int = at_least(1, 10)
    seconds: float = 1.5
    engine: Literal["fast", "exact"] = "fast"
    folder: Path | None = None
    enabled: bool = True
    languages: tuple[str, ...] = ()
    password: str = secret()


def example(**env: str) -> Example:
    return read(Example, env, prefix="X_")


def test_an_empty_environment_gives_the_defaults():
    assert example() == Example()


def test_an_empty_value_is_as_if_unset():
    assert example(X_SIZE="", X_ENGINE="") == Example()


def test_each_type_is_read():
    settings = example(
        X_SIZE="3", X_SECONDS="0.25", X_ENGINE="exact", X_FOLDER="/a", X_ENABLED="off", X_LANGUAGES="zh, en,"
    )
    assert settings == Example(
        size=3, seconds=0.25, engine="exact", folder=Path("/a"), enabled=False, languages=("zh", "en")
    )


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("X_SIZE", "many", "X_SIZE='many' is not a number"),
        ("X_SIZE", "0", "X_SIZE=0 is too small; the least is 1"),
        ("X_SECONDS", "nan", "X_SECONDS='nan' is not a number"),
        ("X_SECONDS", "inf", "X_SECONDS='inf' is not a number"),
        ("X_ENGINE", "slow", "X_ENGINE='slow' is not one of fast, exact"),
        ("X_ENABLED", "maybe", "X_ENABLED='maybe' is not true or false"),
        ("X_PASSWORD_FILE", "/none", r"X_PASSWORD_FILE=/none: cannot be read"),
    ],
)
def test_a_wrong_value_is_named(name: str, value: str, words: str):
    with pytest.raises(SettingsError, match=words):
        example(**{name: value})


def test_a_secret_comes_from_a_file_and_is_never_shown(tmp_path: Path):
    file = tmp_path / "password"
    file.write_text("hidden\n")
    settings = example(X_PASSWORD_FILE=str(file))
    assert settings.password == "hidden"
    assert "hidden" not in repr(settings)


def test_a_secret_given_twice_is_refused(tmp_path: Path):
    with pytest.raises(SettingsError, match="both set"):
        example(X_PASSWORD="a", X_PASSWORD_FILE=str(tmp_path))
