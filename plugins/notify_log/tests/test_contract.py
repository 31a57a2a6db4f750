"""notify_log keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "notify_log"
    settings = ({}, {"least": "critical", "file": ""}, {"log": False, "fills": True, "failures": True, "max_mb": 1})
