"""A start tries a read again that got no answer, and not for ever (F1)."""

import asyncio

import pytest

from tradecore.app.floor_real import _once_let_in
from tradecore.errors import RetryableVenueError
from tradecore.venues.rules import ErrorClass


def opening(*errors):
    waiting = list(errors)

    async def opened():
        if waiting:
            raise waiting.pop(0)
        return "feed"

    return opened


def lost():
    return RetryableVenueError("quotes: no answer")


def busy():
    return RetryableVenueError("quotes: http 418", error_class=str(ErrorClass.RATE))


@pytest.mark.parametrize("errors", [(), (lost(),), (lost(), lost()), (busy(), lost(), busy())])
def test_f1_a_lost_read_or_two_hold_no_start_up(errors):
    notes = []
    assert asyncio.run(_once_let_in(opening(*errors), notes.append)) == "feed"
    assert [note.name for note in notes] == [
        "start_waits" if error.error_class == ErrorClass.RATE else "start_again" for error in errors
    ]


@pytest.mark.parametrize("errors", [(lost(),) * 3, (busy(),) * 4])
def test_f1_what_never_answers_ends_the_start(errors):
    notes = []
    with pytest.raises(RetryableVenueError):
        asyncio.run(_once_let_in(opening(*errors), notes.append))
    assert len(notes) < len(errors) or errors[0].error_class == ErrorClass.RATE
