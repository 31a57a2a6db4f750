"""What ``pytest --tradecore-plugin NAME`` collects: the suite on an installed plugin, with no file of its author."""

from __future__ import annotations

import pytest

from tradecore.testing.contract.suite import ContractSuite as _Suite
from tradecore.testing.plugin import PLUGIN_OPTION


class TestInstalled(_Suite):
    """The suite on the plugin that the command line names, with its defaults."""

    @classmethod
    def asked(cls, config: pytest.Config) -> str:
        """The name on the command line."""
        return str(config.getoption(PLUGIN_OPTION))
