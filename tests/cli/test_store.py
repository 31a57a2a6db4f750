"""`tradecore store`: copies and migrations from the command line."""

import json
import shutil
import sqlite3

from tradecore.store.instance import InstanceLock
from tradecore.store.schema import HEAD


def test_r54_a_copy_of_a_run_is_a_store_that_can_be_asked(cli, kept, tmp_path):
    folder, _ = kept
    made = cli("store", "backup", "--state", folder, "--to", tmp_path / "copy.db", "--json")
    assert made.exit_code == 0, made.stderr
    told = json.loads(made.stdout)
    assert told["schema"] == HEAD
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(tmp_path / "copy.db", other / "tradecore.db")
    of_copy, of_run = (
        json.loads(cli("query", "trades", "--state", place, "--json").stdout)["trades"] for place in (other, folder)
    )
    assert of_copy == of_run != []
    assert "whole" in cli("store", "backup", "--state", folder, "--to", tmp_path / "second.db").stdout


def test_wrong_words_are_refused_in_one_line(refused, kept, tmp_path, monkeypatch):
    folder, _ = kept
    assert "--to" in refused("store", "backup", "--state", folder)
    assert "was there already" in refused("store", "backup", "--state", folder, "--to", folder / "tradecore.db")
    assert "found none" in refused("store", "backup", "--state", tmp_path / "no", "--to", tmp_path / "x.db")
    assert "found none" in refused("store", "migrate", "--state", tmp_path / "no")
    assert not (tmp_path / "no").exists()
    monkeypatch.setenv("TRADECORE_STORE__URL", "postgresql://user:hush@127.0.0.1:1/x")
    line = refused("store", "backup", "--state", folder, "--to", tmp_path / "x.db")
    assert "pg_dump" in line
    assert "hush" not in line
    assert "tradecore.store.migrate" in refused("store", "migrate", "--state", folder)


def test_r54_a_store_of_another_schema_is_refused_with_the_way_out(cli, refused, kept, tmp_path):
    state = shutil.copytree(kept[0], tmp_path / "state")
    with sqlite3.connect(state / "tradecore.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '0000'")
    raw.close()
    assert "tradecore store migrate" in refused("run", "--state", state, "--for", "1m")


def test_r19_a_store_in_use_is_not_migrated_and_a_current_one_is_left(cli, refused, kept, tmp_path):
    state = shutil.copytree(kept[0], tmp_path / "state")
    with InstanceLock(state, "a run"):
        assert "in use by" in refused("store", "migrate", "--state", state)
    done = cli("store", "migrate", "--state", state)
    assert done.exit_code == 0, done.stderr
    assert "already" in done.stdout
    assert json.loads(cli("store", "migrate", "--state", state, "--json").stdout) == {
        "before": HEAD, "after": HEAD, "copy": None,
    }  # fmt: skip
