from __future__ import annotations

import asyncio

from gateway.app.event_loop import new_event_loop


def test_the_loop_runs() -> None:
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        assert runner.run(asyncio.sleep(0, "done")) == "done"
        assert type(runner.get_loop()).__module__.startswith("uvloop")
