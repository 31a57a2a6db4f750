"""A clock that begins at the market's moment, however long the program took before it."""

import time

from tradecore.app import Options, prepare
from tradecore.app.floor import TwinMaker
from tradecore.app.session import Session
from tradecore.clocks.loop import MarketLoop, run

SPEED = 1_000


class Ear:
    def begin(self, engine, clock, stop_at_ms):
        self.epoch_ms = clock.epoch_ms

    def end(self):
        """Nothing is shown."""


def test_f45_time_that_the_loop_ran_before_is_not_added_to_the_market(tmp_path):
    prepared = prepare(Options("demo", {}, flags={"--speed": f"run.speed={SPEED}", "--for": "run.for=5m"}))
    market_ms = TwinMaker().epoch_ms(prepared, tmp_path)
    loop, ear = MarketLoop(SPEED), Ear()
    time.sleep(0.05)
    outcome = run(Session(prepared, tmp_path, False, time.monotonic()).run(loop, ear), loop)
    assert outcome.exit_code == 0
    assert market_ms - 60_000 * SPEED < ear.epoch_ms <= market_ms - 50 * SPEED
