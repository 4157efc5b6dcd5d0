"""Play a transcript: the clients' lines are sent, the server's lines are compared, other programs do their part."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tests.scenarios.line_client import LineClient
from tests.scenarios.outside import MailboxPath, Outside
from tests.scenarios.samples import date_of, marker, number_of, sample
from tests.scenarios.script import Kind, Numbering, Script, Step
from tests.scenarios.serving import LOGIN, PASSWORD, Served
from tests.scenarios.template import Template, settled

FIRST_UID = 5
"""Of the first message: UIDs and sequence numbers must not be the same by chance."""


class Mismatch(AssertionError):
    """The server said something else; the text tells the conversation up to there."""


class Player:
    """Plays one script once."""

    def __init__(self, script: Script, served: Served, outside: Outside, numbering: Numbering) -> None:
        steps = [step for step in script.steps if step.only in (None, numbering)]
        self._steps = [replace(step, text=_renamed(step.text, outside.renamed)) for step in steps]
        self._name = script.name
        self._served = served
        self._outside = outside
        self._template = Template(numbering)
        self._clients: dict[int, LineClient] = {}
        self._unsent: dict[int, bytes] = {}
        self._next_uid: dict[MailboxPath, int] = {}
        self._said: list[str] = []

    async def play(self) -> None:
        """Play all steps, then log everyone out; nothing unexpected may have been sent.

        Raises:
            Mismatch: the server did not say what it should.
        """
        position = 0
        while position < len(self._steps):
            step = self._steps[position]
            group = [step]
            if step.kind is Kind.RECEIVE_IN_ANY_ORDER:
                group = self._neighbours(position)
            try:
                await self._play_step(step, group)
            except (EOFError, TimeoutError, ConnectionError) as error:
                raise self._mismatch(step, f"{type(error).__name__} {error}") from error
            position += len(group)
        for client in list(self._clients):
            await self._log_out(client)

    def _neighbours(self, position: int) -> list[Step]:
        first = self._steps[position]
        group = []
        for step in self._steps[position:]:
            if step.kind is not first.kind or step.client != first.client:
                break
            group.append(step)
        return group

    async def _play_step(self, step: Step, group: Sequence[Step]) -> None:
        match step.kind:
            case Kind.SEND | Kind.SEND_WITH_NEXT:
                self._send(step)
            case Kind.RECEIVE:
                for expected in self._template.fill(step.text).split("\r\n"):
                    self._compare(step, expected, await self._receive(step))
            case Kind.RECEIVE_UNTIL:
                while not self._fits(step.text, await self._receive(step)):
                    pass
            case Kind.RECEIVE_IN_ANY_ORDER:
                await self._receive_group(group)
            case Kind.STRANGER | Kind.CLIENTS:
                for number in map(int, step.text.split()):
                    self._clients[number] = await self._served.connect()
                    if step.kind is Kind.CLIENTS:
                        await self._log_in(step, number)
            case Kind.MAIL:
                await self._prepare_mail(step)
            case Kind.OUTSIDE:
                await self._act_outside(step)
            case Kind.CLOSED:
                client = self._clients[int(step.text)]
                if not await client.at_end():
                    raise self._mismatch(step, "the connection is open, or something more was sent")
                await self._clients.pop(int(step.text)).close()
            case Kind.HANG_UP:
                await self._clients.pop(int(step.text)).close()
            case Kind.ONLY | Kind.EXCEPT | Kind.SETTING:
                raise AssertionError("taken out when the script was read")

    # -- talking ------------------------------------------------------------------------------------------------------

    def _send(self, step: Step) -> None:
        text = self._template.fill(step.text)
        self._said.append(f"C{step.client}: {text}")
        data = self._unsent.pop(step.client, b"") + text.encode() + b"\r\n"
        if step.kind is Kind.SEND_WITH_NEXT:
            self._unsent[step.client] = data
        else:
            self._clients[step.client].write(data)

    async def _receive(self, step: Step) -> str:
        line = (await self._clients[step.client].line()).decode("utf-8")
        self._said.append(f"S{step.client}: {line}")
        return line

    async def _receive_group(self, group: Sequence[Step]) -> None:
        open_steps = list(group)
        while open_steps:
            line = await self._receive(group[0])
            found = next((step for step in open_steps if self._fits(step.text, line)), None)
            if found is None:
                raise self._mismatch(open_steps[0], "no line of the group fits")
            open_steps.remove(found)

    def _compare(self, step: Step, expected: str, line: str) -> None:
        if not self._fits(expected, line):
            raise self._mismatch(step, f"expected {expected}")

    def _fits(self, expected: str, line: str) -> bool:
        match = self._template.pattern(expected).fullmatch(settled(line))
        if match is not None:
            self._template.keep(match)
        return match is not None

    def _mismatch(self, step: Step, text: str) -> Mismatch:
        said = "\n".join(self._said[-40:])
        return Mismatch(f"{self._name}.txt:{step.line}: {text}\n{said}")

    async def _log_in(self, step: Step, number: int) -> None:
        client = self._clients[number]
        await client.expect(b"* OK ")
        client.write(f"login LOGIN {LOGIN} {PASSWORD}\r\n".encode())
        answer = await client.line()
        if not answer.startswith(b"login OK "):
            raise self._mismatch(step, f"login of client {number}: {answer!r}")

    async def _log_out(self, number: int) -> None:
        client = self._clients.pop(number)
        end = Step(0, Kind.RECEIVE, "", number)
        client.write(b"logout LOGOUT\r\n")
        said = [line.decode("utf-8", "replace") for line in await client.lines_to(b"logout ")]
        self._said += [f"S{number}: {line}" for line in said]
        if len(said) != 2 or not re.match(r"\* BYE ", said[0]) or not await client.at_end():
            raise self._mismatch(end, "more was sent than the transcript has")
        await client.close()

    # -- mail ---------------------------------------------------------------------------------------------------------

    async def _prepare_mail(self, step: Step) -> None:
        """Put messages into a mailbox that is empty, with others before them that go again."""
        name, *samples = step.text.split()
        path = _path(name)
        if path not in self._next_uid:
            early = range(10_000, 10_000 + FIRST_UID - 1)
            for number in early:
                self._outside.deliver(path, sample(str(number)), frozenset(), date_of(0))
            await self._served.settle_mailbox(path)
            for number in early:
                self._outside.remove(path, number)
            self._next_uid[path] = FIRST_UID
        for one in samples:
            self._deliver(path, one, frozenset())
        await self._served.settle_mailbox(path)

    def _deliver(self, path: MailboxPath, name: str, flags: frozenset[str]) -> None:
        number = number_of(name)
        assert marker(number) in sample(name)
        self._outside.deliver(path, sample(name), flags, date_of(number))
        uid = self._next_uid.get(path, 1)
        self._template.uids[str(number)] = uid
        self._next_uid[path] = uid + 1

    async def _act_outside(self, step: Step) -> None:
        self._said.append(f"OUTSIDE: {step.text}")
        verb, *rest = self._template.fill(step.text).split()
        if verb in ("offline", "online"):
            self._outside.set_offline(verb == "offline")
            return
        if verb == "forget":
            self._served.forget_bodies()
            return
        path = _path(rest.pop(0))
        match verb:
            case "deliver":
                self._deliver(path, rest[0], frozenset(rest[1:]))
            case "remove":
                for number in rest:
                    self._outside.remove(path, int(number))
            case "flag":
                self._outside.set_flags(path, int(rest[0]), frozenset(rest[1:]))
            case "renew":
                self._outside.renew(path)
            case "create" | "delete":
                getattr(self._outside, verb)(path)
                await self._served.settle_tree(path, exists=verb == "create")
                return
            case _:
                raise ValueError(f"line {step.line}: unknown verb {verb}")
        await self._served.settle_mailbox(path)


def _path(name: str) -> MailboxPath:
    return tuple(name.split("/"))


def _renamed(text: str, names: Mapping[str, str]) -> str:
    """Return a line with mailboxes called as the backend lets them be."""
    for name, other in names.items():
        text = re.sub(rf"(?<![\\$/])\b{name}\b", other, text)
    return text
