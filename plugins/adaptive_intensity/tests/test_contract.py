"""adaptive_intensity keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "adaptive_intensity"
    settings = (
        {},
        {"up_trades": 4, "down_trades": 2, "look_s": 5},
        {"knobs": [{"setting": "risk_limits.max_positions", "low_trust": 2, "normal": 5, "high_trust": 9}]},
    )
