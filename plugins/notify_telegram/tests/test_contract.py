"""notify_telegram keeps the contract of the core."""

import socket

from tradecore.testing.contract import ContractSuite


def _nobody() -> str:
    """An address at which nobody listens: an outage from the first to the last call."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


class TestContract(ContractSuite):
    plugin_name = "notify_telegram"
    settings = (
        {"api_url": _nobody(), "chats": [1, -2], "people": [{"id": 1, "role": "money"}]},
        {"api_url": _nobody()},
        {"api_url": _nobody(), "chats": [5], "fills": False, "failures": False, "least": "info"},
    )
