"""What the wire accepted is in the truth log exactly once, whatever was asked and whatever went wrong."""

from __future__ import annotations

import aiohttp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FAULTS = (
    "", "lost_ack", "cut_after_accept", "http_504_accepted", "truncated_body", "cut_request", "partial_fill",
    "no_liquidity", "duplicate_reply", "refused_with", "cut_answer",
)  # fmt: skip
NOT_DONE = {"cut_request", "refused_with"}
ORDERS = st.tuples(
    st.sampled_from(FAULTS),
    st.sampled_from(["BUY", "SELL"]),
    st.sampled_from(["GTC", "IOC", "FOK"]),
    st.sampled_from(["0.1", "0.00301", "0", "1e3", "40", "0.0000001"]),
    st.sampled_from(["0.97", "1", "1.03", "9"]),
)


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(wire_name=st.sampled_from(["binance", "mexc"]), asked=st.lists(ORDERS, min_size=1, max_size=8))
def test_inv2_what_the_wire_accepted_is_true_exactly_once(make_wire, wire_name, asked):
    wire = make_wire(wire_name, speed=50.0)

    async def story():
        accepted, unknown, done = set(), set(), set()
        for number, (fault, side, tif, quantity, share) in enumerate(asked):
            wire_id = f"{number:032x}"
            if fault:
                wire.desk.faults.once(fault)
            price = str(wire.low(share))
            try:
                reply = await wire.order(
                    side=side, quantity=quantity, price=price, timeInForce=tif, newClientOrderId=wire_id, wait_s=10
                )
                if reply.status == 200 and b"orderId" in reply.body:
                    accepted.add(wire_id)
                elif reply.status == 200 or fault == "http_504_accepted":
                    unknown.add(wire_id)
                else:
                    done.add(wire_id)
            except (aiohttp.ClientError, ConnectionError, TimeoutError):
                (done if fault in NOT_DONE else unknown).add(wire_id)
            wire.desk.faults.clear()
        true = [order.wire_id for order in wire.truth().orders()]
        assert len(true) == len(set(true))
        assert accepted <= set(true) <= accepted | unknown
        assert not done & set(true)
        rejected = [event.facts["wire_id"] for event in wire.truth().rejections()]
        assert not set(rejected) & set(true)
        balances = wire.desk.engine.balances
        told = wire.truth().balances()
        assert {coin: held for coin, held in told.items() if any(held)} == {
            coin: held for coin, held in balances.items() if any(held)
        }

    wire.run(story)
