"""Streams beside the reads: they take the markets from them, and ask the venue for nothing by themselves."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.campaigns.wire_stage import WIRES, Scene, Stage
from tradecore.model.events import ExchangeCall


@pytest.mark.parametrize("wire", WIRES)
def test_r38_streams_read_no_markets_past_the_limiter(wire, tmp_path):
    stage = Stage(Scene(wire, for_s=45, streams=True), tmp_path)
    served: Counter[str] = Counter()
    serve = stage.server._door.serve

    async def counted(request):
        served[request.path] += 1
        return await serve(request)

    stage.server._door.serve = counted
    played = stage.run(stage.trade)
    assert played.exit_code == 0
    told = Counter(note.event.operation for note in played.notes(ExchangeCall))
    assert served["/api/v3/exchangeInfo"] == told["instruments"] >= 1
