"""`make bench`: time the gateway against Dovecot over the same mail.

The servers take turns, so that whatever else the machine does falls on both. Everything is done once untimed before.
Reported are the medians of the rounds, their ratio (below 1 the gateway is the faster) and the goal.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from bench import report, scale
from bench.goals import Result, Unit
from bench.metrics import LoopDelays
from bench.scenarios import Scenario, Seat, scenarios
from bench.targets import SetUp, Target, Targets, free_disk, running_targets

_FOLDER = Path(__file__).parent
_QUICK = (10_000,)
_WHOLE = (10_000, 100_000)
_MAX_ROUNDS = 1000


def main() -> None:
    """Run the benchmark, print the tables and write report.json and report.svg."""
    options = _options()
    results: dict[str, list[Result]] = {}
    for count in options.messages or (_QUICK if options.quick else _WHOLE):
        for set_up in options.set_up or tuple(SetUp):
            title = f"{count:,} messages, the gateway over {_NAMES[set_up]}"
            print(f"\n{title}\n\n{report.header()}", flush=True)
            results[title] = []
            for result in _run(set_up, count, options.rounds, options.only):
                results[title].append(result)
                print(report.row(result), flush=True)
    if not options.quick and not options.messages:
        print(f"\n{_SCALE}\n\n{report.header()}", flush=True)
        results[_SCALE] = []
        for result in scale.results(options.only):
            results[_SCALE].append(result)
            print(report.row(result), flush=True)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "report.json").write_text(report.as_json(results), encoding="utf-8")
    (options.output / "report.svg").write_text(report.as_svg(results), encoding="utf-8")


_DELAY = "delay of the event loop, worst of all"
_SCALE = "Many mailboxes, accounts and connections, the gateway over Maildirs"
_NAMES = {SetUp.MAILDIR: "a Maildir", SetUp.DOVECOT: "a Dovecot, its cache warm"}


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="Time the gateway against Dovecot over the same mail.")
    parser.add_argument("--quick", action="store_true", help="10,000 messages only")
    parser.add_argument("--messages", type=_count, action="append", help="messages in INBOX, at least 1000; repeatable")
    parser.add_argument("--set-up", type=SetUp, action="append", help="maildir or dovecot; repeatable (default both)")
    parser.add_argument("--rounds", type=int, default=_MAX_ROUNDS, help="at most so many rounds per scenario")
    parser.add_argument("--only", default="", help="only scenarios whose name contains this text")
    parser.add_argument("--output", type=Path, default=_FOLDER, help="where report.json and report.svg go")
    return parser.parse_args()


def _count(text: str) -> int:
    count = int(text)
    if count < 1000:
        raise argparse.ArgumentTypeError("must be at least 1000")
    return count


def _run(set_up: SetUp, count: int, rounds: int, only: str) -> Iterator[Result]:
    free_disk(count)
    with running_targets(set_up, count) as targets:
        assert targets.gateway.metrics_port is not None
        delays = LoopDelays(targets.gateway.metrics_port)
        delays.since_last_ms()
        for reference, chosen in _compared(targets, count):
            seats = [_seated(reference, count), _seated(targets.gateway, count)]
            for scenario in chosen:
                if only.lower() in scenario.name.lower():
                    result = _result(scenario, seats, min(rounds, scenario.rounds))
                    yield replace(result, loop_delay_ms=delays.since_last_ms())
                    # A failure may have cost a connection.
                    seats = [_revived(seat) for seat in seats]
            for seat in seats:
                seat.client.close()
        if only.lower() in _DELAY.lower():
            yield Result(_DELAY, Unit.MILLISECONDS, scale.DELAY_GOAL, None, delays.worst_ms())


def _compared(targets: Targets, count: int) -> Iterator[tuple[Target, Sequence[Scenario]]]:
    """Yield what the gateway is compared with, and in what."""
    every = scenarios(count)
    yield targets.reference, every
    if targets.alike is not None:
        beside = f", beside a {targets.alike.name}"
        yield targets.alike, [replace(each, name=each.name + beside) for each in every if each.is_of_storage]


def _seated(target: Target, count: int) -> Seat:
    client = target.log_in()
    client.command(b"SELECT INBOX")
    return Seat(target, client, count)


def _revived(seat: Seat) -> Seat:
    try:
        seat.client.command(b"NOOP")
    except (OSError, RuntimeError):
        seat.client.close()
        return _seated(seat.target, seat.count)
    return seat


def _result(scenario: Scenario, seats: Sequence[Seat], rounds: int) -> Result:
    """Check and time one scenario; a server that fails it is told of, and the others go on."""
    figures: list[list[float]] = [[] for _ in seats]
    try:
        if scenario.check is not None:
            scenario.check(seats[0], seats[1])
        for number in range(rounds + 1 if rounds > 1 else 1):
            for place, seat in enumerate(seats):
                figure = scenario.measure(seat)
                if number > 0 or rounds == 1:
                    figures[place].append(figure)
    except (OSError, RuntimeError) as error:
        print(f"{scenario.name}: {error}", file=sys.stderr)
        return Result(scenario.name, scenario.unit, scenario.goal, None, None, str(error)[:160])
    dovecot, gateway = (statistics.median(values) for values in figures)
    return Result(scenario.name, scenario.unit, scenario.goal, dovecot, gateway)


if __name__ == "__main__":
    main()
