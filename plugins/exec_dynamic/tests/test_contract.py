"""exec_dynamic keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "exec_dynamic"
    settings = (
        {},
        {"table": [{"spread_above_bps": 0, "slippage_bps": 25, "spread_limit_bps": 40, "prefer": "GTC"}]},
        {"depth_factor_min": 1, "atr_factor_max": 1, "fill_factor_max": 1, "atr_length": 5, "atr_warm_rows": 20},
    )
