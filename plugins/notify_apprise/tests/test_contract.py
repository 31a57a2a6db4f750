"""notify_apprise keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "notify_apprise"
    settings = (
        {},
        {"fills": False, "failures": False, "least": "info", "per_minute": 60},
        {"least": "critical", "timeout_s": 1},
    )
