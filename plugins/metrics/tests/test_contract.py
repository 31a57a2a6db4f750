"""metrics keeps the contract of the core."""

from tradecore.testing.contract import ContractSuite


class TestContract(ContractSuite):
    plugin_name = "metrics"
    settings = (
        {"port": 0},
        {"endpoint": False, "statsd": "127.0.0.1:18125", "statsd_tags": False},
        {"port": 0, "file": "", "symbols_max": 0},
    )
