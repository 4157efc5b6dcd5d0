from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from connectors.api.credentials import CredentialForm, LoginDialog, Secret
from connectors.api.forms import TOKEN_FORM
from connectors.api.settings import SettingValue


class Nobody:
    """A dialog with nobody at the other end."""

    async def tell(self, text: str) -> None:
        raise AssertionError(text)

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        raise AssertionError(question)

    async def authorise(self, address: Callable[[str], str], is_answer: Callable[[str], bool]) -> str:
        raise AssertionError


async def found_out(
    values: Mapping[str, Secret[str]], settings: Mapping[str, SettingValue], dialog: LoginDialog
) -> Mapping[str, Secret[str]]:
    return {"token": Secret(f"{settings['site']} {values['client'].reveal()}")}


async def test_a_login_adds_what_it_finds_out_to_what_was_given() -> None:
    form = CredentialForm("consent", "", (), "", login=f"{__name__}:found_out")
    values = await form.log_in({"client": Secret("c")}, {"site": "here"}, Nobody())
    assert {key: value.reveal() for key, value in values.items()} == {"client": "c", "token": "here c"}


async def test_a_form_without_a_login_has_none() -> None:
    with pytest.raises(ValueError, match="form token has no login"):
        await TOKEN_FORM.log_in({}, {}, Nobody())
