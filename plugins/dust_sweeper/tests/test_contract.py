"""dust_sweeper keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "dust_sweeper"
    settings = ({}, {"sell": False, "margin_pct": 0}, {"merge": False, "interval_s": 5})
