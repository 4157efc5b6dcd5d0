"""Threads: which message answers which (RFC 5256 section 3, THREAD=REFS of draft-ietf-morg-inthread).

Messages are numbers from 0 in the order of the mailbox. What is compared of each comes as columns, and what comes of it
are numbers too: 100,000 messages need no object each, which are slow to sort and to free (see `long_sort`).
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gateway.message.long_sort import long_sort
from gateway.wire.write_sort import CLOSE, OPEN, SPACE

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


@dataclass(frozen=True, slots=True)
class Threads:
    """Trees of nodes, in order: below `count` a node is a message; others hold several together, and are no message.

    `answers` has what stands below a node, where there is anything.
    """

    count: int
    roots: Sequence[int]
    answers: Mapping[int, Sequence[int]]


def by_subject(columns: Columns, among: Iterable[int]) -> Threads:
    """ORDEREDSUBJECT: messages of one base subject are the answers to the first sent of them."""
    subjects = columns.subjects
    firsts: dict[str, int] = {}
    answers: dict[int, list[int]] = {}
    for number in long_sort(among, _ranks(columns.sent)):
        first = firsts.setdefault(subjects[number], number)
        if first != number:
            answers.setdefault(first, []).append(number)
    # The dict is in the order of the first message of each.
    return Threads(len(subjects), list(firsts.values()), answers)


def by_references(columns: Columns, among: Sequence[int]) -> Threads:
    """REFERENCES: by the Message-Ids that messages name, and threads of one base subject together."""
    forest = _Forest(columns, among)
    forest.join_subjects()
    forest.sort_answers()
    return forest.threads(forest.in_order(forest.roots))


def by_references_only(columns: Columns, among: Sequence[int]) -> Threads:
    """REFS: as REFERENCES, without regard to subjects, and the threads in the order of their latest message."""
    forest = _Forest(columns, among)
    forest.sort_answers()
    return forest.threads(forest.by_latest())


def tokens(threads: Threads) -> array[int]:
    """Return threads as what a THREAD response is made of: numbers, and the marks of `gateway.wire.write_sort`.

    Without recursion, since a thread may be thousands deep.
    """
    count, answers = threads.count, threads.answers
    found = array("i")
    # Marks are below 0, and no node is.
    waiting: list[int] = []
    for root in threads.roots:
        waiting += (CLOSE, root, OPEN)
        while waiting:
            one = waiting.pop()
            if one < count:
                found.append(one)
            below = answers.get(one)
            if below is None:
                continue
            if one < count:
                found.append(SPACE)
            if len(below) == 1:
                waiting.append(below[0])
            else:
                for answer in reversed(below):
                    waiting += (CLOSE, answer, OPEN)
    return found


class _Forest:
    """Messages linked by what they name. A node from `_count` on is no message: an id of none, or several together."""

    def __init__(self, columns: Columns, among: Sequence[int]) -> None:
        self._columns = columns
        self._count = len(columns.ids)
        self._ranks = _ranks(columns.sent)
        parents = _Links(columns, among)
        self._next_node = parents.next_node
        self.roots: list[int] = []
        self.answers: dict[int, list[int]] = {}
        self._plant(among, parents)

    def threads(self, roots: Sequence[int]) -> Threads:
        return Threads(self._count, roots, self.answers)

    def _plant(self, among: Sequence[int], links: _Links) -> None:
        """Take over the links, without what is not there but for roots that hold several together (step 3)."""
        children = links.children()
        count = self._count
        tops = [number for number in among if links.is_top(number)]
        tops += [node for node in children if node >= count and links.is_top(node)]
        for top in tops:
            self._plant_one(top, children)
            below = self.answers.get(top, ())
            if top < count or len(below) > 1:
                self.roots.append(top)
            elif below:
                self.roots += self.answers.pop(top)

    def _plant_one(self, top: int, children: Mapping[int, Sequence[int]]) -> None:
        """Take over what is below a node; without recursion, since a thread may be thousands deep."""
        open_nodes = [(top, top)]
        while open_nodes:
            node, above = open_nodes.pop()
            for child in children.get(node, ()):
                if child < self._count:
                    self.answers.setdefault(above, []).append(child)
                    open_nodes.append((child, child))
                else:
                    # Its children take its place among its siblings.
                    open_nodes.append((child, above))

    # -- step 5: subjects ---------------------------------------------------------------------------------------------

    def join_subjects(self) -> None:
        """Put threads of one base subject together, those under the root sorted before, as the RFC has it."""
        roots = self.in_order(self.roots)
        table = self._heads(roots)
        kept = dict.fromkeys(roots)
        for root in roots:
            subject = self._subject(root)
            known = table.get(subject, root) if subject else root
            if known == root:
                continue
            del kept[root]
            if self._is_together(known):
                self.answers[known] += self.answers.pop(root) if self._is_together(root) else [root]
            elif self._is_reply(root) and not self._is_reply(known):
                self.answers.setdefault(known, []).append(root)
            else:
                both = self._next_node
                self._next_node += 1
                self.answers[both] = [known, root]
                del kept[known]
                kept[both] = None
                table[subject] = both
        self.roots = list(kept)

    def _heads(self, roots: Sequence[int]) -> dict[str, int]:
        """Return the thread of each base subject that others are put to: several together, or else no reply."""
        table: dict[str, int] = {}
        for root in roots:
            subject = self._subject(root)
            if not subject:
                continue
            known = table.setdefault(subject, root)
            if not self._is_together(known) and (
                self._is_together(root) or (self._is_reply(known) and not self._is_reply(root))
            ):
                table[subject] = root
        return table

    def _subject(self, node: int) -> str:
        return self._columns.subjects[self._first(node)]

    def _is_together(self, node: int) -> bool:
        return node >= self._count

    def _is_reply(self, node: int) -> bool:
        return node < self._count and bool(self._columns.are_replies[node])

    # -- order --------------------------------------------------------------------------------------------------------

    def in_order(self, nodes: Sequence[int]) -> list[int]:
        """Sort nodes by when they were sent (section 2.2)."""
        if len(nodes) < 2:
            return list(nodes)
        count = self._count
        if all(node < count for node in nodes):
            return long_sort(nodes, self._ranks)
        firsts = {self._first(node): node for node in nodes}
        return [firsts[number] for number in long_sort(firsts, self._ranks)]

    def _first(self, node: int) -> int:
        """Return the message that stands for a node: itself, or the first of its answers."""
        if node < self._count:
            return node
        return min((self._first(answer) for answer in self.answers[node]), key=self._ranks.__getitem__)

    def sort_answers(self) -> None:
        """Sort all siblings."""
        for node, below in self.answers.items():
            if len(below) > 1:
                self.answers[node] = self.in_order(below)

    def by_latest(self) -> list[int]:
        """Return the roots in the order of the message below that was sent last."""
        latest = {max(map(self._ranks.__getitem__, self._messages(root))): root for root in self.roots}
        return [latest[rank] for rank in sorted(latest)]

    def _messages(self, root: int) -> list[int]:
        found: list[int] = []
        waiting = [root]
        while waiting:
            node = waiting.pop()
            if node < self._count:
                found.append(node)
            waiting += self.answers.get(node, ())
        return found


class _Links:
    """Which node is below which (step 1): nodes are messages and, above their number, ids of messages not there."""

    def __init__(self, columns: Columns, among: Sequence[int]) -> None:
        self._parents: dict[int, int] = {}
        self._child_counts: dict[int, int] = {}
        self.next_node = len(columns.ids)
        nodes: dict[str, int] = {}
        for number in among:
            name = columns.ids[number]
            if name:
                # Of messages that share an id, the first has it.
                nodes.setdefault(name, number)
        for number in among:
            above = NOBODY
            text = columns.references[number]
            if text:
                for name in text.split(" "):
                    node = nodes.get(name)
                    if node is None:
                        node = nodes[name] = self.next_node
                        self.next_node += 1
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

    def children(self) -> dict[int, list[int]]:
        """Return the nodes below each node that has any."""
        found: dict[int, list[int]] = {}
        for node, parent in self._parents.items():
            found.setdefault(parent, []).append(node)
        return found

    def is_top(self, node: int) -> bool:
        return node not in self._parents


def _ranks(sent: Sequence[int]) -> array[int]:
    """Return the place of each message by sent date; those of one moment are in the order of the mailbox."""
    ranks = array("I", bytes(4 * len(sent)))
    for place, number in enumerate(long_sort(range(len(sent)), sent)):
        ranks[number] = place
    return ranks
