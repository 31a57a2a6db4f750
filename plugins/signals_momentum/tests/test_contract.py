"""signals_momentum keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "signals_momentum"
    settings = ({}, {"lookback": "20m", "rise_pct": "0.5", "stop_pct": 2}, {"lookback": "30r", "quote_wanted": 12})
