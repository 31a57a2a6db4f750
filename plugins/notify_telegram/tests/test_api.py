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


MESSAGE = {
    "message_id": 1, "date": 1_700_000_000, "text": "/halt", "chat": {"id": 5, "type": "private"},
    "from": {"id": 5, "is_bot": False, "first_name": "X"},
}  # fmt: skip


@pytest.mark.parametrize(
    "update",
    [
        {"update_id": 7},
        {"update_id": 7, "message": None},
        {"update_id": 7, "message": []},
        {"update_id": 7, "message": {}},
        {"update_id": 7, "message": MESSAGE | {"date": 10**30}},
        {"update_id": 7, "message": MESSAGE | {"date": "now"}},
        {"update_id": 7, "message": MESSAGE | {"date": None}},
        {"update_id": 7, "message": MESSAGE | {"chat": 5}},
        {"update_id": 7, "message": MESSAGE | {"chat": {"id": "5"}}},
        {"update_id": 7, "message": MESSAGE | {"from": {"id": 10**40, "is_bot": False}}},
        {"update_id": 7, "message": MESSAGE | {"from": {"id": True, "is_bot": False}}},
        {"update_id": 7, "message": MESSAGE | {"from": {"id": -5, "is_bot": False}}},
        {"update_id": 7, "edited_message": MESSAGE | {"edit_date": 1_700_000_001}},
        {"update_id": 7, "channel_post": MESSAGE},
        {"update_id": 7, "business_message": MESSAGE},
        {"update_id": 7, "callback_query": {"id": "1", "from": MESSAGE["from"], "message": MESSAGE, "data": "/halt"}},
        {"update_id": 7, "inline_query": {"id": "1", "from": MESSAGE["from"], "query": "/halt", "offset": ""}},
    ],
)
async def test_f42_an_update_of_another_shape_is_nobodys_and_hides_no_other(server, telegram, update):
    api = api_of(server, telegram.token)
    server.faults["getUpdates"] = deque([(200, {"ok": True, "result": [update, {"update_id": 8, "message": MESSAGE}]})])
    odd, good = await api.updates(None, 1)
    assert (odd.update_id, odd.user_id, odd.own_words) == (7, 0, False)
    assert (good.update_id, good.user_id, good.text, good.own_words) == (8, 5, "/halt", True)
    await api.close()


@pytest.mark.parametrize(
    "more",
    [{"edit_date": 1_700_000_001}, {"forward_date": 1}, {"from": {"id": 5, "is_bot": True}}, {"from": {"id": 5}},
     {"sender_chat": {}}, {"text": 7}, {"text": None, "caption": "/halt"}],
)  # fmt: skip
async def test_f42_a_message_that_is_not_plainly_his_own_words_is_not_taken_for_them(server, telegram, more):
    api = api_of(server, telegram.token)
    found = {"ok": True, "result": [{"update_id": 8, "message": MESSAGE | more}]}
    server.faults["getUpdates"] = deque([(200, found)])
    (one,) = await api.updates(None, 1)
    assert not (one.own_words and one.text)
    await api.close()


@pytest.mark.parametrize(
    "answer",
    [[], 7, None, {"ok": True}, {"ok": True, "result": 5}, {"ok": False}, {"ok": True, "result": {"update_id": 1}}],
)
async def test_f42_an_answer_of_another_shape_is_an_outage_and_ends_nothing(server, telegram, answer):
    api = api_of(server, telegram.token)
    for method, call in (("getUpdates", lambda: api.updates(None, 1)), ("getMe", api.open)):
        server.faults[method] = deque([(200, answer)])
        with pytest.raises(Unreachable):
            await call()
    server.faults["getUpdates"] = deque([(200, {"ok": True, "result": [5, None, {}, {"update_id": "x"}, [1]]})])
    assert await api.updates(None, 1) == []
    await api.close()


@pytest.mark.parametrize(
    "result", [True, {}, [], {"message_id": "x"}, None, {"date": 10**30, "message_id": 1, "chat": 5}]
)
async def test_f42_a_message_that_was_taken_in_odd_words_is_not_sent_again(server, telegram, result):
    api = api_of(server, telegram.token)
    server.faults["sendMessage"] = deque([(200, {"ok": True, "result": result})])
    await api.send(7, "text")
    for answer in ({"ok": False}, {"result": True}, []):
        server.faults["sendMessage"] = deque([(200, answer)])
        with pytest.raises(Unreachable):
            await api.send(7, "text")
    await api.close()
