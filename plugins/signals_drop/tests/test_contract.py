"""signals_drop keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "signals_drop"
    settings = ({}, {"lookback": "20m", "drop_pct": "0.8", "stop_pct": 2}, {"lookback": "250r", "quote_wanted": 12})
