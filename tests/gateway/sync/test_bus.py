from __future__ import annotations

from gateway.sync.bus import AnnotationsChanged, ChangeBus, MailboxChanged


def test_only_listeners_of_the_mailbox_are_told_and_in_order() -> None:
    bus, told = ChangeBus(), []
    bus.subscribe(1, lambda change: told.append(("first", change)))
    bus.subscribe(1, lambda change: told.append(("second", change)))
    bus.subscribe(2, lambda change: told.append(("other", change)))
    bus.publish(MailboxChanged(1))
    assert told == [("first", MailboxChanged(1)), ("second", MailboxChanged(1))]


def test_a_listener_may_leave_while_it_is_told() -> None:
    bus = ChangeBus()
    told: list[str] = []

    def tell_and_leave(_: MailboxChanged) -> None:
        told.append("first")
        leave()

    leave = bus.subscribe(1, tell_and_leave)
    bus.subscribe(1, lambda change: told.append("second"))
    bus.publish(MailboxChanged(1))
    bus.publish(MailboxChanged(1))
    assert told == ["first", "second", "second"]


def test_interest_is_what_somebody_listens_to() -> None:
    bus = ChangeBus()
    leave = bus.subscribe(7, lambda change: None)
    assert bus.interest() == {7}
    leave()
    leave()
    assert bus.interest() == frozenset()


def test_tree_listeners_hear_of_their_account() -> None:
    bus = ChangeBus()
    told: list[int] = []
    bus.subscribe_tree(3, told.append)
    bus.publish_tree(4)
    bus.publish_tree(3)
    assert told == [3]


def test_annotations_are_told_to_listeners_of_the_user() -> None:
    bus = ChangeBus()
    told: list[AnnotationsChanged] = []
    leave = bus.subscribe_annotations(1, told.append)
    change = AnnotationsChanged(1, "INBOX", ("/private/comment",))
    bus.publish_annotations(change)
    bus.publish_annotations(AnnotationsChanged(2, "INBOX", ("/private/comment",)))
    leave()
    bus.publish_annotations(change)
    assert told == [change]


def test_a_change_of_a_tree_raises_the_version_of_that_tree_before_listeners_hear_of_it() -> None:
    bus = ChangeBus()
    seen: list[int] = []
    bus.subscribe_tree(1, lambda account_id: seen.append(bus.tree_version(account_id)))
    assert (bus.tree_version(1), bus.tree_version(2)) == (0, 0)
    bus.publish_tree(1)
    assert (seen, bus.tree_version(1), bus.tree_version(2)) == ([1], 1, 0)
