"""Bad input gets one clear line on stderr and exit code 2, never a traceback."""

import shutil
import sqlite3
import sys
import textwrap

import click
import pytest

from tradecore.cli import main as main_module
from tradecore.errors import RetryableVenueError, StoreError

QUICK = ("--for", "1m", "--speed", "max")


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a plugin with its metadata on the path, as an installer would."""

    def make(name, hook):
        folder = tmp_path / "site"
        info = folder / f"tradecore_{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (folder / f"{name}_module.py").write_text(
            textwrap.dedent(f"""
            from pydantic import BaseModel
            from tradecore import Verdict, hookimpl

            class Plugin:
                class Settings(BaseModel, frozen=True, extra="forbid"):
                    pass

                def __init__(self, settings):
                    self.settings = settings

                @hookimpl
                def {hook}(self, intent, portfolio, market):
                    return Verdict()
            """)
        )
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: tradecore-{name}\nVersion: 1.0\nSummary: x\n")
        (info / "entry_points.txt").write_text(f"[tradecore]\n{name} = {name}_module:Plugin\n")
        monkeypatch.syspath_prepend(str(folder))

    yield make
    for name in [name for name in sys.modules if name.endswith("_module")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--plugins", "signals_dorp,size_fixed"), "nearest is 'signals_drop'"),
        (("--plugins", "signals_drop"), "expected a sizing, a risk and a routing guest"),
        (("--profile", "demmo"), "nearest is 'demo'"),
        (("--seed", "seven"), "run.seed: expected a whole number"),
        (("--speed", "fast"), "run.speed: expected "),
        (("--for", "soon"), "run.for: expected a duration"),
        (("--set", "signals_drop.drop_pct=much"), "from command line --set signals_drop.drop_pct"),
        (("--set", "signals_drop.dropp=1"), "nearest is 'drop_pct'"),
        (("--set", "nonsense"), "expected section.key=value"),
        (("--data", "nowhere"), "nowhere"),
        (("--from", "2024-01-01"), "--from: expected a market of candle files"),
        (("--timeframe", "soon"), "expected a length"),
        (("--state", "latest"), "found none"),
        (("--spede", "1"), "no such option"),
    ],
)
def test_a_wrong_option_is_named(refused, arguments, said):
    assert said in refused("run", *QUICK, *arguments)


def test_r52_an_unused_variable_is_refused(refused, monkeypatch):
    monkeypatch.setenv("TRADECORE_RUN__SEEED", "1")
    assert "TRADECORE_RUN__SEED" in refused("run", *QUICK)


def test_a_misspelt_hook_is_named(refused, install):
    install("quiet", "risk_chekc")
    assert "risk_chekc" in refused("run", *QUICK, "--plugins", "signals_drop,size_fixed,quiet,exec_ioc_gtc")


def test_a_plugin_that_may_not_enter_is_a_row_of_the_list(cli, install):
    install("quiet", "risk_chekc")
    result = cli("plugins", "list", "--hooks")
    assert result.exit_code == 0
    assert "risk_chekc" in result.stdout
    assert "route_order" in result.stdout


def nan(texts):
    texts["close"][7] = "nan"


def negative(texts):
    texts["low"][7] = "-1.0"


def crossed(texts):
    texts["high"][7], texts["low"][7] = texts["low"][7], texts["high"][7]


def backwards(texts):
    texts["ts"][7], texts["ts"][8] = texts["ts"][8], texts["ts"][7]


@pytest.mark.parametrize("spoil", [nan, negative, crossed, backwards])
def test_spoilt_candles_are_refused_with_their_file(refused, tmp_path, write_candles, spoil):
    folder = write_candles(tmp_path / "data", "AAA_USDT", spoil=spoil)
    assert "AAA_USDT-1m.csv" in refused("run", "--speed", "max", "--data", folder)


def test_a_torn_parquet_file_is_refused(refused, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "AAA_USDT-1m.parquet").write_bytes(b"PAR1 torn")
    assert "AAA_USDT-1m.parquet" in refused("run", "--speed", "max", "--data", tmp_path / "data")


def test_a_state_folder_that_cannot_be_written_is_refused(cli, tmp_path):
    (tmp_path / "file").write_text("no folder")
    result = cli("run", *QUICK, "--state", tmp_path / "file" / "state")
    assert result.exit_code == 2
    assert result.stderr.splitlines()[-1].startswith("tradecore: expected a folder that can be written")
    assert "Traceback" not in result.stderr


@pytest.fixture
def other_schema(tmp_path, kept):
    folder = shutil.copytree(kept[0], tmp_path / "other")
    base = sqlite3.connect(folder / "tradecore.db")
    base.execute("UPDATE alembic_version SET version_num = '9999'")
    base.commit()
    base.close()
    return folder


def test_r26_a_database_of_another_schema_is_refused(refused, cli, other_schema, candle_folder):
    assert "9999" in refused("status", "--state", other_schema)
    result = cli("run", "--data", candle_folder, "--speed", "max", "--state", other_schema)
    assert result.exit_code == 2
    assert "9999" in result.stderr.splitlines()[-1]


@pytest.mark.parametrize("words", [("status",), ("query", "trades"), ("halt", "--reason", "x"), ("stop",)])
def test_a_folder_without_a_run_is_refused(refused, tmp_path, words):
    (tmp_path / "empty").mkdir()
    assert "expected a store at" in refused(*words, "--state", tmp_path / "empty")
    assert "found none" in refused(*words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("query", "orders", "--status", "setled"), "nearest is 'SETTLED'"),
        (("query", "trades", "--since", "yesterday"), "--since: expected a length such as 2h"),
        (("query", "trades", "--limit", "0"), "invalid value for '--limit'"),
        (("release", "signals_drop"), "in quarantine (none)"),
    ],
)
def test_wrong_questions_are_refused(refused, kept, words, said):
    assert said in refused(*words, "--state", kept[0])


@pytest.mark.parametrize("verb", ["halt", "reduce", "resume"])
def test_r54_a_change_of_state_needs_a_reason(refused, verb):
    assert "--reason" in refused(verb)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (RetryableVenueError("no answer\nin time"), 1, "tradecore: no answer in time"),
        (StoreError("disk full"), 1, "tradecore: disk full"),
        (KeyError("lost"), 70, "tradecore: this is a bug: KeyError: 'lost'"),
        (KeyboardInterrupt(), 130, "tradecore: interrupted"),
    ],
)
@pytest.mark.parametrize("debug", [False, True])
def test_every_error_is_one_line_and_a_code(cli, monkeypatch, error, code, said, debug):
    def fails():
        raise error

    monkeypatch.setitem(main_module.main.commands, "fails", click.command("fails")(fails))
    result = cli(*(["--debug"] if debug else []), "fails")
    assert result.exit_code == code
    assert result.stderr.splitlines()[-1].startswith(said)
    assert ("Traceback" in result.stderr) == (debug and code != 130)
    # click itself ends the line on which the terminal shows ^C
    assert debug or len(result.stderr.split("\n")) == (3 if code == 130 else 2)
