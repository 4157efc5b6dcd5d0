"""Threads: which message answers which (RFC 5256 section 3, THREAD=REFS of draft-ietf-morg-inthread).

Messages are numbers from 0 in the order of the mailbox. What is compared of each comes as columns, so that 100,000 of
them need no object each.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.wire.write_sort import CLOSE, OPEN, SPACE

Number = int
NOBODY = -1


@dataclass(frozen=True, slots=True)
class Columns:
    """What is known of each message, all of one length.

    `sent` are moments in any unit; `subjects` base subjects, normalised; `ids` Message-Ids, empty for none;
    `references` those of the ancestors, the oldest first, joined by spaces.
    """

    sent: Sequence[int]
    subjects: Sequence[str]
    are_replies: Sequence[int]
    ids: Sequence[str]
    references: Sequence[str]


@dataclass(slots=True)
class Thread:
    """A message with its answers, in order; `number` is None for a message that is not there."""

    number: Number | None
    answers: list[Thread] = field(default_factory=list)


def by_subject(columns: Columns, among: Iterable[Number]) -> list[Thread]:
    """ORDEREDSUBJECT: messages of one base subject are the answers to the first sent of them."""
    sent, subjects = columns.sent, columns.subjects
    threads: dict[str, Thread] = {}
    for number in sorted(among, key=lambda number: (sent[number], number)):
        first = threads.setdefault(subjects[number], Thread(number))
        if first.number != number:
            first.answers.append(Thread(number))
    # The dict is in the order of the first message of each.
    return list(threads.values())


def by_references(columns: Columns, among: Sequence[Number]) -> list[Thread]:
    """REFERENCES: by the Message-Ids that messages name, and threads of one base subject together."""
    forest = _Forest(columns, among)
    threads = forest.threads()
    threads = _Subjects(columns).merged(threads)
    order = _Order(columns.sent)
    for thread in threads:
        order.sort_answers(thread)
    return order.sorted(threads)


def by_references_only(columns: Columns, among: Sequence[Number]) -> list[Thread]:
    """REFS: as REFERENCES, without regard to subjects, and the threads in the order of their latest message."""
    threads = _Forest(columns, among).threads()
    order = _Order(columns.sent)
    for thread in threads:
        order.sort_answers(thread)
    return sorted(threads, key=order.latest)


def tokens(threads: Sequence[Thread]) -> array[int]:
    """Return threads as what a THREAD response is made of: numbers, and the marks of `gateway.wire.write_sort`.

    Without recursion, since a thread may be thousands deep.
    """
    found = array("i")
    waiting: list[Thread | int] = []
    for thread in reversed(threads):
        waiting += (CLOSE, thread, OPEN)
    while waiting:
        one = waiting.pop()
        if isinstance(one, int):
            found.append(one)
            continue
        if one.number is not None:
            found.append(one.number)
            if one.answers:
                found.append(SPACE)
        if len(one.answers) == 1:
            waiting.append(one.answers[0])
        else:
            for answer in reversed(one.answers):
                waiting += (CLOSE, answer, OPEN)
    return found


class _Forest:
    """The links of step 1: nodes are messages and, above their number, ids of messages that are not there."""

    def __init__(self, columns: Columns, among: Sequence[Number]) -> None:
        self._among = among
        self._count = len(columns.ids)
        self._parents: dict[int, int] = {}
        self._child_counts: dict[int, int] = {}
        nodes: dict[str, int] = {}
        for number in among:
            name = columns.ids[number]
            if name:
                # Of messages that share an id, the first has it.
                nodes.setdefault(name, number)
        next_node = self._count
        for number in among:
            above = NOBODY
            text = columns.references[number]
            if text:
                for name in text.split(" "):
                    node = nodes.get(name)
                    if node is None:
                        node = nodes[name] = next_node
                        next_node += 1
                    if above != NOBODY and node not in self._parents:
                        self._link(above, node)
                    above = node
            former = self._parents.pop(number, None)
            if former is not None:
                self._child_counts[former] -= 1
            if above != NOBODY:
                self._link(above, number)

    def _link(self, parent: int, child: int) -> None:
        """Make one the parent of the other, unless that made a loop."""
        if parent == child:
            return
        if self._child_counts.get(child):
            # Only then can it be above its parent. Most messages come behind what they answer.
            node = self._parents.get(parent, NOBODY)
            while node != NOBODY:
                if node == child:
                    return
                node = self._parents.get(node, NOBODY)
        self._parents[child] = parent
        self._child_counts[parent] = self._child_counts.get(parent, 0) + 1

    def threads(self) -> list[Thread]:
        """Return the trees, without those that are not there but for roots that hold several together (step 3)."""
        children: dict[int, list[int]] = {}
        for node, parent in self._parents.items():
            children.setdefault(parent, []).append(node)
        roots = [number for number in self._among if number not in self._parents]
        roots += [node for node in children if node >= self._count and node not in self._parents]
        return [thread for root in roots for thread in self._root(root, children)]

    def _root(self, root: int, children: dict[int, list[int]]) -> list[Thread]:
        answers = self._answers(root, children)
        if root < self._count:
            return [Thread(root, answers)]
        return answers if len(answers) == 1 else [Thread(None, answers)] if answers else []

    def _answers(self, root: int, children: dict[int, list[int]]) -> list[Thread]:
        """Return what is below a node; without recursion, since a thread may be thousands deep."""
        found: list[Thread] = []
        open_nodes: list[tuple[int, list[Thread]]] = [(root, found)]
        while open_nodes:
            node, into = open_nodes.pop()
            for child in children.get(node, ()):
                if child < self._count:
                    thread = Thread(child)
                    into.append(thread)
                    open_nodes.append((child, thread.answers))
                else:
                    # Its children take its place among its siblings.
                    open_nodes.append((child, into))
        return found


class _Subjects:
    """Step 5: threads of one base subject are put together."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._sent = columns.sent

    def merged(self, threads: list[Thread]) -> list[Thread]:
        """Return the threads put together, those under the root sorted before, as the RFC has it."""
        order = _Order(self._sent)
        threads = order.sorted(threads)
        table: dict[str, Thread] = {}
        for thread in threads:
            subject = self._subject(thread)
            if not subject:
                continue
            known = table.get(subject)
            if known is None or (
                known.number is not None
                and (thread.number is None or (self._is_reply(known) and not self._is_reply(thread)))
            ):
                table[subject] = thread
        kept: dict[int, Thread] = {id(thread): thread for thread in threads}
        for thread in threads:
            subject = self._subject(thread)
            known = table.get(subject) if subject else None
            if known is None or known is thread:
                continue
            del kept[id(thread)]
            if known.number is None:
                known.answers += thread.answers if thread.number is None else [thread]
            elif thread.number is not None and self._is_reply(thread) and not self._is_reply(known):
                known.answers.append(thread)
            else:
                both = Thread(None, [known, thread])
                del kept[id(known)]
                kept[id(both)] = table[subject] = both
        return list(kept.values())

    def _subject(self, thread: Thread) -> str:
        number = thread.number if thread.number is not None else _Order(self._sent).first(thread)
        return self._columns.subjects[number]

    def _is_reply(self, thread: Thread) -> bool:
        return thread.number is not None and bool(self._columns.are_replies[thread.number])


class _Order:
    """By sent date, and messages of one moment in the order of the mailbox (section 2.2)."""

    def __init__(self, sent: Sequence[int]) -> None:
        self._sent = sent

    def first(self, thread: Thread) -> Number:
        """Return the message that stands for a thread: itself, or the first of its answers."""
        if thread.number is not None:
            return thread.number
        return min((self.first(answer) for answer in thread.answers), key=lambda number: (self._sent[number], number))

    def _key(self, thread: Thread) -> tuple[int, int]:
        number = self.first(thread)
        return self._sent[number], number

    def sorted(self, threads: list[Thread]) -> list[Thread]:
        return sorted(threads, key=self._key) if len(threads) > 1 else threads

    def sort_answers(self, thread: Thread) -> None:
        """Sort all siblings below; without recursion."""
        waiting = [thread]
        while waiting:
            one = waiting.pop()
            one.answers = self.sorted(one.answers)
            waiting += one.answers

    def latest(self, thread: Thread) -> tuple[int, int]:
        """Return the moment and the number of the message in the thread that was sent last."""
        latest = (min(self._sent, default=0), NOBODY)
        waiting = [thread]
        while waiting:
            one = waiting.pop()
            if one.number is not None:
                latest = max(latest, (self._sent[one.number], one.number))
            waiting += one.answers
        return latest
