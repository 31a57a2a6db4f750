"""Keys stand in settings by reference only; what is behind a reference is never repeated."""

import pytest
from pydantic import BaseModel, SecretStr

from tradecore import hookimpl
from tradecore.app.handing import secrets_of
from tradecore.app.secrets import read_secret
from tradecore.errors import SettingsError
from tradecore.hooks.admit import invite

CANARY = "canary-5f1c"


def test_r54_a_secret_is_read_from_a_variable_a_file_and_a_credential(tmp_path):
    file = tmp_path / "key"
    file.write_text(f"{CANARY}\n")
    file.chmod(0o600)
    env = {"KEY": f" {CANARY}", "CREDENTIALS_DIRECTORY": str(tmp_path)}
    for reference in ("env:KEY", f"file:{file}", "credential:key"):
        secret = read_secret(reference, "venue.api_key", env)
        assert secret.get_secret_value() == CANARY
        assert CANARY not in repr(secret) + str(secret)


@pytest.mark.parametrize("reference", [CANARY, "", "env:", "vault:x", f"http://{CANARY}"])
def test_r54_anything_but_a_reference_is_refused_and_not_repeated(reference):
    with pytest.raises(SettingsError, match=r"venue\.api_key: expected env:NAME") as caught:
        read_secret(reference, "venue.api_key", {})
    assert CANARY not in str(caught.value)


def test_r54_what_is_missing_is_said(tmp_path):
    empty = tmp_path / "empty"
    empty.touch(mode=0o600)
    for reference, told in (
        ("env:NOBODY", "variable NOBODY"),
        (f"file:{tmp_path / 'none'}", "No such file"),
        (f"file:{empty}", "found nothing"),
        ("credential:x", "CREDENTIALS_DIRECTORY"),
    ):
        with pytest.raises(SettingsError, match=told):
            read_secret(reference, "venue.api_key", {})


def test_r54_a_file_that_others_can_read_is_refused(tmp_path):
    file = tmp_path / "key"
    file.write_text(CANARY)
    file.chmod(0o640)
    with pytest.raises(SettingsError, match="only its owner"):
        read_secret(f"file:{file}", "venue.api_key", {})


def test_r54_the_wrong_file_is_refused_without_its_bytes(tmp_path):
    for raw in (b"x" * 9000, b"\xff\xfe\xff"):
        file = tmp_path / "wrong"
        file.write_bytes(raw)
        file.chmod(0o600)
        with pytest.raises(SettingsError) as caught:
            read_secret(f"file:{file}", "venue.api_key", {})
        assert caught.value.__cause__ is None


def test_a_credential_cannot_leave_its_folder(tmp_path):
    with pytest.raises(SettingsError, match="plain name"):
        read_secret("credential:../etc/passwd", "venue.api_key", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


class Chatty:
    """A guest that can do without its secret."""

    class Settings(BaseModel, frozen=True, extra="forbid"):
        token: SecretStr = SecretStr("")

    secrets = ("token",)

    def __init__(self, settings):
        self.settings = settings

    @hookimpl
    def on_start(self, resources):
        pass


def test_r54_an_empty_reference_hands_over_nothing_and_a_wrong_one_still_ends_the_start():
    def guest(**given):
        return invite("chatty", Chatty, Chatty.Settings(**given))

    assert secrets_of(guest(), {"TOKEN": CANARY}) == {}
    assert secrets_of(guest(token="env:TOKEN"), {"TOKEN": CANARY})["token"].get_secret_value() == CANARY
    for wrong in ("env:TOKEN", " ", CANARY):
        with pytest.raises(SettingsError, match=r"plugins\.chatty\.token: expected"):
            secrets_of(guest(token=wrong), {})
