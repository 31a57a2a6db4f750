"""filter_volume keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "filter_volume"
    settings = ({}, {"min_quote_per_minute": 0, "window": "10m"}, {"window": "100r"})
