"""The suite bites: each seeded defect is caught by the card that names it, with a message that says what to change."""

from tradecore.testing.contract.cards import Outcome
from tradecore.testing.contract.runner import CARDS

#: Cards whose question no change to a plugin's source can fail alone: metadata, the proof that rests on C30 to C32, and
#: sessions that rest on C80.
UNBITTEN = {"C05", "C06", "C34", "C81", "C83"}


def test_a_defect_is_caught_by_its_card_and_by_no_other(defect):
    results = defect.judged().results
    result = results[defect.card]
    assert result.outcome is Outcome.FAILED, result
    assert defect.says in result.reason
    # What was found, then what to change.
    assert "; " in result.reason, result.reason
    others = sorted(
        number for number, one in results.items() if one.outcome is Outcome.FAILED and number != defect.card
    )
    assert others == sorted(defect.also)


def test_there_are_enough_defects_and_most_cards_have_one(defects):
    assert len(defects) >= 32
    assert len({(one.plugin, one.id) for one in defects}) == len(defects)
    bitten = {one.card for one in defects}
    assert {card.number for card in CARDS} - bitten == UNBITTEN
