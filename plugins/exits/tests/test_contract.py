"""exits keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "exits"
    settings = (
        {},
        {"trailing_distance_pct": 0, "time_to_live": "off"},
        {"stop_loss_pct": 0, "trailing_activation_pct": 0},
        {"atr_multiple": 2, "atr_length": 5, "atr_warm_rows": 20},
    )
