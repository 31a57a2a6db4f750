"""gate_roundtrip keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "gate_roundtrip"
    settings = (
        {},
        {"stop_pct": 30, "depth_multiples": 3, "remainder_pct_max": 0},
        {"exit_slippage_bps": 0, "notional_spare_pct": 100},
    )
