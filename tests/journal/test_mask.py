"""No secret passes, in whatever form it is written, and a masked line is still a line."""

from __future__ import annotations

import base64
import logging
import string
import sys
import threading
from decimal import Decimal
from urllib.parse import quote

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tradecore.errors import SettingsError
from tradecore.journal.encode import Encoder
from tradecore.journal.logs import open_logs
from tradecore.journal.mask import Mask
from tradecore.journal.read import decode, parse
from tradecore.journal.uncaught import Uncaught
from tradecore.model.events import (
    NO_IDS,
    CheckFact,
    ConfigSnapshot,
    GuardsEval,
    Ids,
    IntentCleared,
    LogRecord,
    UncaughtException,
)

CANARY = 'cAn4ry"\\/+ß=\nSecond-Line-0f-Key'
PLAIN_CANARY = "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A"

VALUE = "aB3dE6gH9jK2mN5pQ8sT"
PATTERNS = [
    f"timestamp=1&signature={VALUE}",
    f"https://api/x?sign={VALUE}&a=1",
    f"{{'X-MBX-APIKEY': '{VALUE}'}}",
    f"X-MEXC-APIKEY: {VALUE}",
    f'{{"apiKey":"{VALUE}"}}',
    f'{{\\"apiKey\\":\\"{VALUE}\\"}}',
    f"{{'api_secret': '{VALUE}'}}",
    f"[('KC-API-PASSPHRASE', '{VALUE}')]",
    f"{{b'KC-API-SIGN': b'{VALUE}'}}",
    f"OK-ACCESS-SIGN={VALUE}",
    f"Authorization: Bearer {VALUE}",
    f"listenKey={VALUE}",
    f"password = {VALUE}",
    f"postgresql://trader:{VALUE}@db/tradecore",
    f"bot123456789:AA{VALUE}{VALUE} said no",
    f"-----BEGIN PRIVATE KEY-----\n{VALUE}\n-----END PRIVATE KEY-----",
]


@pytest.mark.parametrize("text", PATTERNS)
def test_r42_words_that_announce_a_secret_are_enough(text):
    mask = Mask()
    assert VALUE not in mask.text(text)
    assert "***" in mask.text(text)
    line = Encoder("run", mask).line(1, 1, LogRecord("ccxt", "ERROR", text), NO_IDS)
    assert VALUE.encode() not in line
    assert decode(parse(line)).event.logger == "ccxt"
    nested = Encoder("run", mask).line(1, 1, LogRecord("x", "ERROR", orjson.dumps({"q": text}).decode()), NO_IDS)
    assert VALUE.encode() not in nested
    parse(nested)


@pytest.mark.parametrize(
    "text",
    [
        "signals_drop met its signal",
        "a token was refused",
        "no api answered",
        "https://venue/path:8080",
        "secret = None",
    ],
)
def test_ordinary_words_stay(text):
    mask = Mask()
    assert mask.text(text) == text


def written_forms(secret: str) -> list[str]:
    once = orjson.dumps(secret).decode()
    return [
        secret,
        once,
        orjson.dumps(once).decode(),
        repr(secret),
        ascii(secret),
        quote(secret, safe=""),
        base64.b64encode(secret.encode()).decode(),
    ]


SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=8, max_size=40).filter(
    lambda text: len(text.strip()) >= 8 and len(set(text)) > 3 and not set(text) <= set(string.whitespace)
)


@settings(max_examples=80, deadline=None)
@given(secret=SECRETS, before=st.text("abc ", max_size=5))
def test_r42_every_written_form_of_a_known_secret_is_masked(secret, before):
    mask = Mask([secret])
    for form in written_forms(secret):
        assert form not in mask.text(before + form)


@settings(max_examples=100, deadline=None)
@given(
    secret=st.one_of(
        SECRETS, st.text("0123456789", min_size=8, max_size=10), st.sampled_from(["decision", "order_fill", "quantity"])
    ),
    detail=st.text(max_size=10),
)
def test_r42_a_masked_line_is_still_a_line(secret, detail):
    """Also where the secret is a number that stands in the line, or a word of the schema."""
    mask = Mask([secret])
    number = Decimal(secret) if secret.isascii() and secret.isdigit() else Decimal(1)
    whole = int(number) if number != 1 else 5
    event = IntentCleared("A/B", "buy", "FILLED", secret, detail, number, Decimal("0.1"), whole, 3)
    raw = Encoder("run", mask).line(1, 1_621_425_600_000_000_000, event, Ids(intent=secret), 9)
    line = parse(raw)
    assert (line.seq, line.kind, line.store_seq) == (1, "intent_cleared", 9)
    assert tuple(line.data) == IntentCleared._fields
    values = orjson.dumps([*line.ids, *line.data.values()]).decode()
    assert secret not in values
    assert orjson.dumps(secret).decode()[1:-1] not in values


def test_short_secrets_are_refused_and_empty_ones_passed_over():
    mask = Mask([""])
    with pytest.raises(SettingsError, match="expected a secret of 8 characters or more, was 7"):
        mask.add("1234567")


def test_longer_secrets_go_before_those_inside_them():
    mask = Mask(["abcdefgh", "abcdefghijklmnop"])
    assert mask.text("x abcdefghijklmnop y") == "x *** y"


def test_nothing_to_mask_gives_the_same_bytes_back():
    mask = Mask([PLAIN_CANARY])
    block = b'{"kind":"order_fill"}\n'
    assert mask.clean(block) is block


@pytest.mark.parametrize("virtual", [True, False])
@pytest.mark.parametrize("canary", [PLAIN_CANARY, CANARY])
async def test_r42_no_secret_reaches_a_file(opened, tmp_path, clock, virtual, canary):
    mask = Mask([canary])
    journal = opened(virtual, mask=mask)
    stderr = (tmp_path / "err.txt").open("w")
    logs = open_logs(mask=mask, now_ns=clock.now_ns, file=tmp_path / "log.txt", stream=stderr)
    logs.attach(journal.note)
    uncaught = Uncaught(journal.note, logs.tell)
    uncaught.install()
    try:
        journal.note(LogRecord("field", "ERROR", canary), Ids(venue_order=canary))
        journal.note(ConfigSnapshot("d", "demo", {"venue.key": canary, canary: "1"}, {"venue.key": canary}))
        journal.note(GuardsEval("A/B", 0, False, (CheckFact(canary, "l", Decimal(1), Decimal(2), canary, True),), {}))
        journal.note(UncaughtException("x", "E", repr(canary), f"{{'apiKey': {canary!r}}}"))
        logging.getLogger("ccxt.base").error("header %s", {"X-MBX-APIKEY": canary})
        try:
            raise ValueError({"nested": [canary]})
        except ValueError as error:
            logging.getLogger("apscheduler").exception("job failed {braces} %s", canary)
            sys.excepthook(ValueError, error, error.__traceback__)

        def fault():
            raise RuntimeError(canary)

        thread = threading.Thread(target=fault)
        thread.start()
        thread.join()
    finally:
        uncaught.uninstall()
        assert await journal.close(5)
        assert logs.close(5)
        stderr.close()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    texts = {path.name: path.read_bytes() for path in files}
    assert sum(len(text) for text in texts.values()) > 2_000
    everything = b"".join(texts.values())
    assert everything.count(b"***") > 10
    forms = {form.encode() for form in written_forms(canary)} | {line.encode() for line in canary.splitlines()}
    for form in forms:
        assert form not in everything, form
    for path in files:
        if path.suffix == ".jsonl":
            for raw in path.read_bytes().splitlines(keepends=True):
                parse(raw)
