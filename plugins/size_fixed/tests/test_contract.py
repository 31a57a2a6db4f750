"""size_fixed keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "size_fixed"
    settings = ({}, {"amount": 0, "equity_pct": 2}, {"symbol_max": 200, "equity_pct": 1})
