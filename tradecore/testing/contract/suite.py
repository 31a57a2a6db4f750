"""The suite as tests to inherit: one test per card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pytest

from tradecore.market.frame import MarketFrame
from tradecore.testing.contract.cards import Card, Outcome
from tradecore.testing.contract.runner import CARDS, ask_card, report_of
from tradecore.testing.contract.subject import DEFAULTS, Subject, subject_of
from tradecore.testing.plugin import CARD_RESULT, REPORT_HEAD


class ContractSuite:
    """The suite as tests to inherit; a subclass names its plugin and is collected by pytest.

    ::

    class TestContract(ContractSuite):
        plugin_name = "signals_drop"
    """

    plugin: ClassVar[type[Any] | None] = None
    """The plugin's class; or"""
    plugin_name: ClassVar[str] = ""
    """the name of its entry point."""
    settings: ClassVar[Sequence[Mapping[str, Any]]] = (DEFAULTS,)
    """Sections to ask it with; name the defaults by an empty one."""
    frames: ClassVar[Sequence[MarketFrame]] = ()
    """Frames to judge beside those of the suite."""

    _kept: ClassVar[tuple[object, Subject] | None] = None

    @pytest.fixture
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        """The plugin under test, one for all cards: what one card found others rest on."""
        cls = type(self)
        named = cls.asked(request.config)
        if cls._kept is None or cls._kept[0] != named:
            cls._kept = (named, subject_of(named, cls.settings, cls.frames))
        return cls._kept[1]

    @classmethod
    def asked(cls, config: pytest.Config) -> str | type[Any]:
        """The plugin's class or name.

        Raises:
            UsageError: If the class names neither.
        """
        named = cls.plugin if cls.plugin is not None else cls.plugin_name
        if not named:
            raise pytest.UsageError(f"{cls.__name__}: expected plugin or plugin_name, found neither")
        return named

    @pytest.mark.parametrize("card", CARDS, ids=[card.test_id for card in CARDS])
    def test_contract(self, card: Card, subject: Subject, record_property: Callable[[str, object], None]) -> None:
        """Ask one card."""
        result = ask_card(card, subject)
        head = report_of(subject)._replace(cards=())
        record_property(REPORT_HEAD, head.to_json())
        record_property(CARD_RESULT, (card.test_id, result.outcome.value, result.reason))
        if result.outcome is Outcome.SKIPPED:
            pytest.skip(result.reason)
        if result.outcome is Outcome.FAILED:
            pytest.fail(f"{subject.name}: {card.test_id}: {result.reason}", pytrace=False)
