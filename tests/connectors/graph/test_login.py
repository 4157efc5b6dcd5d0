"""Logging in by a code and by browser, with a person who does as asked, or does not."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.api.credentials import Secret
from connectors.api.errors import AuthExpired, Denied, Unavailable
from connectors.graph import SPEC
from connectors.graph.login import log_in
from connectors.graph.tokens import consent_source
from tests.connectors.graph.login_service import Keeper, LoginService, refresh_token_of, refused
from tests.connectors.transport.jumping_clock import JumpingClock

REDIRECT = "http://127.0.0.1:40000"
APP = {"client_id": Secret("client-1")}


class Person:
    """Answers questions as told, and agrees to whatever a page of consent asks."""

    def __init__(self, service: LoginService, *answers: str) -> None:
        self.service = service
        self.answers = list(answers)
        self.told: list[str] = []
        self.asked: list[str] = []
        self.address = ""
        self.refuses = False

    async def tell(self, text: str) -> None:
        self.told.append(text)

    async def ask(self, question: str, *, is_secret: bool = False) -> str:
        self.asked.append(question)
        return self.answers.pop(0)

    async def authorise(self, address: Callable[[str], str], is_answer: Callable[[str], bool]) -> str:
        self.address = address(REDIRECT)
        url = self.service.consent(self.address)
        assert url.startswith("http://localhost:40000/?")
        assert is_answer(url)
        assert not is_answer(f"{REDIRECT}/?code=x&state=forged")
        assert not is_answer("http://[/")
        if self.refuses:
            return url.replace("code=code-1", "error=access_denied&error_description=AADSTS65004%3A+No.")
        return url


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


@pytest.fixture
def service() -> LoginService:
    return LoginService()


async def logged_in(
    service: LoginService,
    person: Person,
    clock: JumpingClock,
    values: Mapping[str, Secret[str]] = APP,
    **settings: str,
) -> Mapping[str, Secret[str]]:
    return await log_in(values, settings, person, clock=clock, transport=service)


async def test_a_code_is_shown_and_waited_for(service: LoginService, clock: JumpingClock) -> None:
    service.device_answers = ["authorization_pending", "slow_down", "authorization_pending", "ok"]
    person = Person(service, "")
    values = await logged_in(service, person, clock)
    assert "ABCD-EFGH" in person.told[-1]
    assert clock.slept == [5, 5, 10, 10]
    assert values["client_id"] == APP["client_id"]
    assert refresh_token_of(values["token_cache"]) == "refresh-1"
    assert set(values) == {"client_id", "token_cache"}


async def test_what_a_login_gives_makes_tokens(service: LoginService, clock: JumpingClock) -> None:
    service.device_answers = ["ok"]
    values = await logged_in(service, Person(service, "code"), clock)
    keeper = Keeper(**values)
    source = consent_source(keeper.record(), clock=clock, transport=service)
    found = await source.get()
    assert found is not None
    await source.refused(found)
    assert await source.get() != found
    assert service.forms[-1]["grant_type"] == "refresh_token"


async def test_a_browser_consents_with_a_proof_key(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service, "browser")
    values = await logged_in(service, person, clock)
    assert refresh_token_of(values["token_cache"]) == "refresh-1"
    query = parse_qs(urlsplit(person.address).query)
    assert query["prompt"] == ["select_account"]
    assert "https://graph.microsoft.com/Mail.ReadWrite" in query["scope"][0].split()
    assert "offline_access" in query["scope"][0].split()
    assert service.forms[-1]["redirect_uri"] == "http://localhost:40000"


async def test_a_web_app_logs_in_by_browser_without_being_asked(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service)
    values = await logged_in(service, person, clock, {**APP, "client_secret": Secret("s3cret")})
    assert service.forms[-1]["client_secret"] == "s3cret"
    assert set(values) == {"client_id", "client_secret", "token_cache"}


async def test_without_a_client_the_person_is_told_how_to_get_one(service: LoginService, clock: JumpingClock) -> None:
    service.device_answers = ["ok"]
    person = Person(service, "client-2", "consumers", "")
    values = await logged_in(service, person, clock, {})
    assert "App registrations" in person.told[0]
    assert values["client_id"].reveal() == "client-2"
    assert values["tenant"].reveal() == "consumers"
    assert "/consumers/" in service.urls[-1]


async def test_without_a_tenant_it_is_the_common_one(service: LoginService, clock: JumpingClock) -> None:
    service.device_answers = ["ok"]
    values = await logged_in(service, Person(service, "client-2", "", ""), clock, {})
    assert "tenant" not in values
    assert "/common/" in service.urls[-1]


async def test_without_any_client_there_is_no_login(service: LoginService, clock: JumpingClock) -> None:
    with pytest.raises(AuthExpired, match="client_id"):
        await logged_in(service, Person(service, "", ""), clock, {})


async def test_for_anothers_mailbox_more_is_asked_for(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service, "b")
    await logged_in(service, person, clock, mailbox="info@example.org")
    assert "https://graph.microsoft.com/Mail.ReadWrite.Shared" in parse_qs(urlsplit(person.address).query)["scope"][0]


IMAP_SCOPE = "https://outlook.office.com/IMAP.AccessAsUser.All"


async def test_for_imap_a_browser_is_asked_for_both_permissions_at_once(
    service: LoginService, clock: JumpingClock
) -> None:
    person = Person(service, "b")
    values = await logged_in(service, person, clock, append="imap")
    asked = parse_qs(urlsplit(person.address).query)["scope"][0].split()
    assert {"https://graph.microsoft.com/Mail.ReadWrite", IMAP_SCOPE} <= set(asked)
    # A token is for one of the two.
    assert [IMAP_SCOPE in form["scope"].split() for form in service.forms] == [False, True]
    assert "https://graph.microsoft.com/Mail.ReadWrite" in service.forms[0]["scope"].split()
    assert refresh_token_of(values["token_cache"]) == "refresh-2"


async def test_for_imap_a_code_is_enough_where_there_is_consent_already(
    service: LoginService, clock: JumpingClock
) -> None:
    service.device_answers = ["ok"]
    values = await logged_in(service, Person(service, ""), clock, append="imap")
    assert len(service.device_scopes) == 1
    assert IMAP_SCOPE not in service.device_scopes[0]
    assert refresh_token_of(values["token_cache"]) == "refresh-2"


async def test_for_imap_a_second_code_gives_the_consent(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service, "")
    service.device_answers = ["ok", "ok"]
    service.refuses_scopes = {IMAP_SCOPE}
    values = await logged_in(service, person, clock, append="imap")
    assert [IMAP_SCOPE in scopes.split() for scopes in service.device_scopes] == [False, True]
    assert "log in once more" in person.told[-2]
    assert "token_cache" in values


async def test_two_codes_are_for_one_account(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service, "")
    tell, service.device_answers = person.tell, ["ok", "ok"]

    async def told(text: str) -> None:
        if "once more" in text:
            service.username = "bo@example.org"
        await tell(text)

    person.tell = told  # type: ignore[method-assign]
    service.refuses_scopes = {IMAP_SCOPE}
    with pytest.raises(Denied, match="different accounts"):
        await logged_in(service, person, clock, append="imap")


async def test_a_browser_that_does_not_consent_to_imap_is_told_at_once(
    service: LoginService, clock: JumpingClock
) -> None:
    service.refuses_scopes = {IMAP_SCOPE}
    with pytest.raises(AuthExpired, match="consented"):
        await logged_in(service, Person(service, "b"), clock, append="imap")


async def test_the_permission_for_imap_is_named_only_where_it_is_used(
    service: LoginService, clock: JumpingClock
) -> None:
    service.device_answers = ["ok", "ok"]
    plain, by_imap = Person(service, "client-2", "", ""), Person(service, "client-2", "", "")
    await logged_in(service, plain, clock, {})
    await logged_in(service, by_imap, clock, {}, append="imap")
    assert "IMAP" not in "".join(plain.told)
    assert "IMAP.AccessAsUser.All" in "".join(by_imap.told)


@pytest.mark.parametrize("answer", ["authorization_declined", "expired_token"])
async def test_a_refused_code_is_a_refusal(answer: str, service: LoginService, clock: JumpingClock) -> None:
    service.device_answers = ["authorization_pending", answer]
    with pytest.raises(Denied):
        await logged_in(service, Person(service, ""), clock)


async def test_a_code_that_nobody_enters_ends(service: LoginService, clock: JumpingClock) -> None:
    service.device_answers = ["authorization_pending"] * 1000
    with pytest.raises(Denied, match="in time"):
        await logged_in(service, Person(service, ""), clock)
    assert sum(clock.slept) == pytest.approx(900, abs=5)


async def test_while_a_code_is_waited_for_the_service_may_be_out_of_reach(
    service: LoginService, clock: JumpingClock
) -> None:
    service.refusals = [(503, {})] * 4
    service.device_answers = ["ok"]
    await logged_in(service, Person(service, ""), clock)
    service.refusals = [(503, {})] * 5
    with pytest.raises(Unavailable):
        await logged_in(service, Person(service, ""), clock)


async def test_an_app_that_allows_no_codes_says_what_to_do(service: LoginService, clock: JumpingClock) -> None:
    service.refusals = [(401, refused("invalid_client", 7000218))]
    with pytest.raises(AuthExpired, match="public client flows"):
        await logged_in(service, Person(service, ""), clock)


async def test_a_consent_refused_in_the_browser_is_a_refusal(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service, "b")
    person.refuses = True
    with pytest.raises(Denied, match="consent was refused"):
        await logged_in(service, person, clock)


async def test_a_code_that_was_spoilt_on_its_way_is_no_login(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service, "b")
    service.refusals = [(400, refused("invalid_grant", 70008))]
    with pytest.raises(AuthExpired):
        await logged_in(service, person, clock)


async def test_what_the_dialog_raises_comes_out_as_it_is(service: LoginService, clock: JumpingClock) -> None:
    person = Person(service, "b")

    async def abort(address: Callable[[str], str], is_answer: Callable[[str], bool]) -> str:
        raise RuntimeError("aborted")

    person.authorise = abort  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="aborted"):
        await logged_in(service, person, clock)


def test_the_form_names_the_login() -> None:
    form = SPEC.form_named("consent")
    assert form.login == "connectors.graph.login:log_in"
    assert form.required_keys == {"client_id", "token_cache"}
