"""filter_rsi keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "filter_rsi"
    settings = ({}, {"level": 40, "side": "below", "warm_rows": 60}, {"length": 5, "warm_rows": 30})
