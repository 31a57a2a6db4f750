"""universe_filters keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "universe_filters"
    settings = (
        {},
        {"volume_min_quote": 1000, "spread_max_bps": 10, "age_min": "30h", "never": ["C1/*"]},
        {"volatility_max_pct": 2, "price_min": 1, "window": "6h", "unknown": "keep", "only": ["C?/USDT"]},
    )
