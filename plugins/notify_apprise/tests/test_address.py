"""Addresses and the services behind them: what is read, what is sent, what goes wrong, and what is never shown."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
import traceback

import pytest
from tradecore_notify_apprise import address as module
from tradecore_notify_apprise.address import Service, addresses_in, place_of
from tradecore_notify_apprise.plugin import NotifyApprise
from tradecore_notify_apprise.worker import Worker

from tradecore.channels.line import Unreachable, WrongToken

CANARY = "canaryTOKENcanary"

apprise = pytest.importorskip("apprise", reason="apprise is an extra, and is not installed here")


def test_addresses_are_read_from_lines_and_remarks_are_not():
    text = "# slack://no\njson://a/b  json://c\n\n  # xml://d\njson://a/b\nxml://e"
    assert addresses_in(text) == ["json://a/b", "json://c", "xml://e"]
    assert addresses_in("  \n") == []


def test_f43_a_place_is_a_number_that_says_nothing_of_its_address():
    assert place_of("json://a") == place_of("json://a") != place_of("json://b")
    assert 0 <= place_of("json://\ud800") < 2**56


@pytest.mark.parametrize("address", ["nonsense", "nosuch://x", "json://", "slack://tooshort", f"{CANARY}://x"])
async def test_f43_an_address_that_is_none_is_refused_and_not_repeated(address, caplog):
    service = Service(address, 5, 1.0)
    with pytest.raises(WrongToken, match="expected an address that apprise knows") as error:
        await service.send(1, "text")
    assert service.known is False
    assert caplog.text == ""
    assert CANARY not in "".join(traceback.format_exception(error.value))
    service.close()


async def test_a_text_arrives_as_it_is(hook):
    service = Service(hook.address(), 2, 1.0)
    text = "<b>*_`[x](http://evil.example)</b>\n@everyone {{app_id}} \\n &amp; 100 %"
    await service.send(1, text)
    assert hook.got == [("/room", text, "info")]
    service.close()


@pytest.mark.parametrize(
    ("text", "kind"),
    [("fill", "info"), ("WARNING: x (core): y", "warning"), ("a\n\nCRITICAL: x (core): y\n\nWARNING: z", "failure"),
     ("over: x (core): CRITICAL: y", "info"), ("reason\nCRITICAL: forged", "info")],
)  # fmt: skip
async def test_r48_a_message_has_the_colour_of_its_gravest_alert(hook, text, kind):
    service = Service(hook.address(), 2, 1.0)
    await service.send(1, text)
    assert hook.got[0][2] == kind
    service.close()


@pytest.mark.parametrize("fault", [400, 401, 404, 429, 500, 301, "drop", "hang"])
async def test_f42_trouble_has_our_own_name_and_nothing_of_the_address(hook, caplog, fault):
    caplog.set_level(logging.DEBUG, "apprise")
    hook.faults.append(fault)
    service = Service(hook.address(CANARY), 1, 1.0)
    with pytest.raises(Unreachable) as error:
        await service.send(1, "text")
    assert CANARY not in "".join(traceback.format_exception(error.value))
    assert CANARY not in caplog.text
    assert hook.got == []
    assert hook.calls == 1  # a redirect is not followed
    service.close()


async def test_f42_nobody_listens():
    service = Service("json://127.0.0.1:9/x", 1, 1.0)
    with pytest.raises(Unreachable):
        await service.send(1, "text")
    service.close()


async def test_f42_a_service_that_raises_is_an_outage(monkeypatch, hook):
    service = Service(hook.address(), 1, 1.0)
    monkeypatch.setattr(service, "_notify", lambda text: sys.exit("a plugin of apprise ends the process"))
    with pytest.raises(Unreachable):
        await service.send(1, "text")
    monkeypatch.undo()
    await service.send(1, "again")
    assert hook.texts() == "again"
    service.close()


async def test_f42_a_slow_service_is_told_everything_once(hook):
    """It answers after the time-out each time: what it took is not sent again, and what came since follows."""
    hook.always = 0.4
    service = Service(hook.address(), 2, 0.05)  # waits 0.1 s
    with pytest.raises(Unreachable, match="no answer in time"):
        await service.send(1, "one")
    with pytest.raises(Unreachable, match="has not come back"):
        await service.send(1, "one")
    await asyncio.sleep(0.6)
    with pytest.raises(Unreachable, match="no answer in time"):
        await service.send(1, "one\n\ntwo")
    await asyncio.sleep(0.6)
    await service.send(1, "two")
    assert [text for _, text, _ in hook.got] == ["one", "two"]
    service.close()


async def test_f42_what_a_slow_service_did_not_take_is_sent_again(hook):
    hook.faults.append("hang")
    service = Service(hook.address(), 1, 0.1)
    with pytest.raises(Unreachable, match="no answer in time"):
        await service.send(1, "one")
    await asyncio.sleep(1.5)  # the socket's own time-out
    await service.send(1, "one")
    assert hook.texts() == "one"
    service.close()


async def test_a_worker_leaves_no_thread_unless_it_is_stuck():
    worker, gate = Worker("w"), threading.Event()
    assert await worker.begin(lambda: True) is True
    worker.close()
    assert "w" not in {thread.name for thread in threading.enumerate()}
    stuck = Worker("stuck")
    future = stuck.begin(gate.wait)
    begun = time.monotonic()
    stuck.close()
    assert time.monotonic() - begun < 1
    gate.set()
    assert await future is True


def test_f42_a_stuck_service_does_not_keep_the_process_from_its_end(tmp_path):
    program = (
        "import asyncio, time\n"
        "from tradecore_notify_apprise.worker import Worker\n"
        "async def main():\n"
        "    Worker('w').begin(lambda: time.sleep(600))\n"
        "    await asyncio.sleep(0.1)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], timeout=30, check=False, cwd=tmp_path)
    assert done.returncode == 0


def test_without_apprise_an_address_is_refused_by_the_extras_name(monkeypatch):
    monkeypatch.setattr(module, "apprise", None)
    NotifyApprise.Settings()
    with pytest.raises(ValueError, match=r"pip install 'tradecore-notify-apprise\[apprise\]'"):
        NotifyApprise.Settings(addresses="env:X")


def test_without_apprise_the_plugin_is_loaded_and_the_run_refused_in_one_line(tmp_path):
    program = (
        "import sys\n"
        "sys.modules['apprise'] = None\n"
        "from tradecore.cli.main import main\n"
        "sys.argv[0] = 'tradecore'\n"
        "main()\n"
    )
    guests = "signals_drop,size_fixed,risk_limits,exec_ioc_gtc,exits,notify_apprise"
    command = [sys.executable, "-c", program, "run", "--profile", "demo", "--plugins", guests, "--for", "60s"]
    done = subprocess.run(
        [*command, "--speed", "max", "--set", "notify_apprise.addresses=env:NOWHERE"], timeout=60, check=False,
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1
    assert "pip install 'tradecore-notify-apprise[apprise]'" in lines[0]
