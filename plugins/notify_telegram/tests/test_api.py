"""The Bot API over a real wire: what is sent, and every way in which it goes wrong."""

import asyncio
import time
from collections import deque

import pytest
from pydantic import SecretStr
from tradecore_notify_telegram.api import TelegramApi
from tradecore_notify_telegram.port import Contested

from tradecore.channels.line import Refused, Throttled, Unreachable, WrongToken


def api_of(server, token, timeout_s=2.0):
    return TelegramApi(SecretStr(token), server.url, timeout_s, 1.0)


async def test_a_text_goes_out_plain(server, telegram):
    api = api_of(server, telegram.token)
    assert await api.open() == telegram.bot
    text = "<b>*_`[x](http://evil.example)</b>\n@someone /halt \\ 100 %"
    await api.send(7, text)
    ((chat, sent, data),) = server.sent
    assert (chat, sent) == (7, text)
    assert "parse_mode" not in data
    assert "entities" not in data
    assert telegram.load(data["link_preview_options"]) == {"is_disabled": True}
    await api.close()


async def test_messages_come_with_who_when_and_whose_words(server, telegram):
    api = api_of(server, telegram.token)
    server.write(5, "/status", date=1_700_000_000)
    server.write(6, "/halt", chat=-9, forward_origin={"type": "hidden_user", "date": 1, "sender_user_name": "x"})
    server.write(5, "/halt", via_bot={"id": 3, "is_bot": True, "first_name": "b"})
    server.write(5, "/halt", chat=-9, sender_chat={"id": -9, "type": "group", "title": "t"})
    server.write(5, None, photo=[])
    server.write(5, "/halt", **{"from": None})
    found = await api.updates(None, 1)
    assert [(one.user_id, one.chat_id, one.text, one.own_words) for one in found] == [
        (5, 5, "/status", True), (6, -9, "/halt", False), (5, 5, "/halt", False), (5, -9, "/halt", False),
        (5, 5, "", True), (0, 0, "", False),
    ]  # fmt: skip
    assert found[0].sent_ms == 1_700_000_000_000
    again = await api.updates(found[-1].update_id + 1, 1)
    assert again == []
    assert [data["allowed_updates"] for method, data in server.calls if method == "getUpdates"] == ['["message"]'] * 2
    await api.close()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ((500, {"ok": False, "description": "x"}), Unreachable),
        ((502, {"ok": False}), Unreachable),
        ((409, {"ok": False, "description": "terminated by other getUpdates"}), Contested),
        ((400, {"ok": False, "description": "Bad Request: can't parse entities"}), Refused),
        ((403, {"ok": False, "description": "Forbidden: bot was kicked"}), Refused),
        ((400, {"ok": False, "description": "m", "parameters": {"migrate_to_chat_id": -100}}), Refused),
        ((401, {"ok": False, "description": "Unauthorized"}), WrongToken),
        ((404, {"ok": False, "description": "Not Found"}), WrongToken),
        ((429, {"ok": False}), Throttled),
        ((429, []), Throttled),
        ("garbage", Unreachable),
        ("drop", Unreachable),
        ("hang", Unreachable),
    ],
)
async def test_trouble_has_our_own_names_and_never_the_token(server, telegram, fault, error):
    api = api_of(server, telegram.token, 0.3)
    server.faults["sendMessage"] = deque([fault])
    with pytest.raises(error) as raised:
        await api.send(7, "hello")
    seen = repr(raised.value) + str(raised.value) + repr(raised.value.__context__)
    assert telegram.token not in seen
    await api.send(7, "after")  # the connection is as good as new
    assert server.texts() == "after"
    await api.close()


@pytest.mark.parametrize(("asked", "wait"), [(3, 3.0), (1e9, 3_600.0), (-5, 0.0), ("soon", 5.0), (None, 5.0)])
async def test_429_says_how_long_to_wait_within_bounds(server, telegram, asked, wait):
    api = api_of(server, telegram.token)
    server.faults["sendMessage"] = deque([telegram.slow(asked)])
    with pytest.raises(Throttled) as raised:
        await api.send(7, "hello")
    assert raised.value.retry_after_s == wait
    await api.close()


async def test_a_token_that_is_none(server, telegram):
    wrong = "999999999:WRONGwrongWRONGwrongWRONGwrongWRONG1"
    api = api_of(server, wrong)
    for call in (api.open, lambda: api.send(7, "x"), lambda: api.updates(None, 1)):
        with pytest.raises(WrongToken) as raised:
            await call()
        assert wrong not in f"{raised.value!r} {raised.value.__context__!r} {raised.value.__cause__!r}"
    await api.close()


async def test_nothing_blocks_the_loop_while_a_server_hangs(server, telegram):
    api = api_of(server, telegram.token, 0.5)
    server.always["sendMessage"] = "hang"
    sending = asyncio.ensure_future(api.send(7, "x"))
    longest, last = 0.0, time.monotonic()
    while not sending.done():
        await asyncio.sleep(0.005)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    assert isinstance(sending.exception(), Unreachable)
    assert longest < 0.25
    await api.close()
