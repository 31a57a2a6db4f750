"""protections keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "protections"
    settings = (
        {},
        {"cooldown": "off", "stop_guard_scope": "all", "drawdown_pct": 3, "low_profit_trades": 2},
        {"stop_guard_stops": 1, "drawdown_pct": 5, "look_s": 5},
    )
