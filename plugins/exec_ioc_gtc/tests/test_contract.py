"""exec_ioc_gtc keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "exec_ioc_gtc"
    settings = (
        {},
        {"exit_attempts": 1, "exit_premiums_bps": [0]},
        {"steps": [{"time_in_force": "FOK", "premium_bps": 5}]},
    )
