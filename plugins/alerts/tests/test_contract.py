"""alerts keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "alerts"
    settings = (
        {},
        {"look_s": 5, "off": ["few_trades", "no_activity"], "exposure_limit_quote": 500},
        {
            "rules": [
                {"name": "conflicts", "measure": "events.fill_conflict", "threshold": 0, "severity": "critical"},
                {"name": "drawdown", "measure": "drawdown_pct", "threshold": "2.5", "for_s": 0},
            ]
        },
    )
