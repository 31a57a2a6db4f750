"""A run whose store is a PostgreSQL server, by URL (R26): the figures are SQLite's, and kill -9 loses nothing."""

import signal

#: What may differ between two runs of one seed.
OWN = {"wall_s", "state"}


def test_r26_one_seed_gives_one_summary_on_both_stores(tmp_path, start, clean, sound, postgres_url):
    options = ("--speed", "max", "--for", "5m", "--seed", "1")
    ours = start(tmp_path / "sqlite", *options)
    theirs = start(tmp_path / "server", *options, sets=(f"store.url={postgres_url}",))
    here, there = clean(ours.wait()), clean(theirs.wait())
    assert {k: v for k, v in here.items() if k not in OWN} == {k: v for k, v in there.items() if k not in OWN}
    assert here["orders_filled"] > 3
    assert not (tmp_path / "server" / "tradecore.db").exists()
    assert sound(tmp_path / "server", ended=True, store=postgres_url) == []


def test_r26_a_run_on_a_server_is_killed_and_goes_on(tmp_path, start, clean, sound, postgres_url):
    folder, sets = tmp_path / "s", (f"store.url={postgres_url}",)
    bot = start(folder, "--speed", "150", "--for", "100h", sets=sets)
    bot.until_event("order_fill", 2)
    bot.kill()
    assert sound(folder, ended=False, store=postgres_url) == []
    again = start(folder, "--speed", "150", "--for", "100h", sets=sets)
    again.until_event("order_fill", 4)
    again.send(signal.SIGTERM)
    summary = clean(again.wait())
    assert (summary["pending"], summary["unexplained_drift"]) == ([], "0")
    assert sound(folder, ended=True, store=postgres_url) == []
