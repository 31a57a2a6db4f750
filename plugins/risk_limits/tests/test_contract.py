"""risk_limits keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "risk_limits"
    settings = ({}, {"max_notional_per_symbol": 100, "spread_bps_max": 0}, {"max_exposure_pct": 5, "max_positions": 1})
