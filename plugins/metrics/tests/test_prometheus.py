"""metrics: a real Prometheus scrapes a session, and answers every query of the dashboard."""

import contextlib
import json
import math
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import pytest
from tradecore_metrics.ops.dashboard import queries
from tradecore_metrics.ops.files import FILES
from tradecore_metrics.ops.rules import RULES

PROMETHEUS = shutil.which("prometheus")
pytestmark = pytest.mark.skipif(PROMETHEUS is None, reason="no prometheus here: install the Debian package prometheus")
SETS = (
    "intervals.heartbeat_s=0.2", "intervals.balance_refresh_s=0.4", "intervals.conservation_s=0.4",
    "intervals.metrics_export_s=0.1", "engine.slow_cycle_ms=1",
)  # fmt: skip


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return listening.getsockname()[1]


class Prometheus:
    """A server of its own with the shipped rules, scraping one address."""

    def __init__(self, folder, target):
        self.port = free_port()
        (folder / "alerts.yml").write_text(FILES["alerts.yml"])
        scrape = {"job_name": "tradecore", "static_configs": [{"targets": [target]}]}
        settings = {
            "global": {"scrape_interval": "250ms", "scrape_timeout": "250ms", "evaluation_interval": "1s"},
            "rule_files": ["alerts.yml"], "scrape_configs": [scrape],
        }  # fmt: skip
        (folder / "prometheus.yml").write_text(json.dumps(settings))  # JSON is YAML
        self._log = (folder / "prometheus.log").open("w")
        self._process = subprocess.Popen(
            [PROMETHEUS, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
             f"--web.listen-address=127.0.0.1:{self.port}", "--log.level=warn"],
            stdout=self._log, stderr=self._log,
        )  # fmt: skip

    def scraping(self):
        """True once it has tried its target: it looks for targets five seconds after its start."""
        with contextlib.suppress(OSError):
            return bool(self.ask("query", query="up")["result"])
        return False

    def ask(self, path, **parameters):
        with self._open(f"/api/v1/{path}?{urllib.parse.urlencode(parameters)}") as answer:
            read = json.load(answer)
        assert read["status"] == "success", read
        return read["data"]

    def _open(self, path):
        return urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10)

    def stop(self):
        self._process.terminate()
        try:
            self._process.wait(10)
        finally:
            if self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._log.close()


@pytest.fixture(scope="module")
def scraped(tmp_path_factory, paced, scene):
    """A session under the eyes of Prometheus: the server, the moment of its last good scrape, what the session left."""
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    server = Prometheus(folder, f"127.0.0.1:{port}")
    try:
        until = time.monotonic() + 30
        while not server.scraping():
            assert time.monotonic() < until, (folder / "prometheus.log").read_text()
            time.sleep(0.05)
        left = paced(scene(*SETS, f"metrics.port={port}"), folder / "state", 640, lambda engine: None)
        now = time.time()
        up = server.ask("query_range", query='up{job="tradecore"} == 1', start=now - 60, end=now, step=0.1)["result"]
        yield server, float(up[0]["values"][-1][0]), left
    finally:
        server.stop()


def filled_in(expression):
    """A panel's query as Grafana would send it."""
    return expression.replace("$instance", ".*").replace("$__rate_interval", "1m")


@pytest.mark.parametrize("title", dict.fromkeys(title for title, _ in queries()))
def test_r47_every_query_of_the_dashboard_has_an_answer_after_a_session(scraped, title):
    server, moment, _ = scraped
    for expression in [expression for name, expression in queries() if name == title]:
        found = server.ask("query", query=filled_in(expression), time=moment)["result"]
        assert found, f"{title}: nothing for {expression}"
        values = [float(one["value"][1]) for one in found]
        assert any(not math.isnan(value) for value in values), f"{title}: only NaN for {expression}"


def test_r47_the_scrape_sees_what_the_session_did(scraped):
    server, moment, left = scraped
    found = server.ask("query", query="sum(tradecore_orders_sent_total)", time=moment)["result"]
    sent = float(found[0]["value"][1])
    assert 0 < sent <= left.summary["orders_sent"]
    assert sent >= 0.8 * left.summary["orders_sent"], "the newest scrape is a quarter of a second old"


def test_r48_prometheus_has_loaded_the_rules_and_they_fire_over_the_session(scraped):
    server, moment, _ = scraped
    (group,) = server.ask("rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == [rule.name for rule in RULES]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    fired = server.ask("query", query='count_over_time(ALERTS{alertstate="firing"}[5m])', time=moment)["result"]
    names = {one["metric"]["alertname"] for one in fired}
    assert {"TradecorePluginQuarantined", "TradecoreCriticalAlert"} <= names, names
    assert not names & {"TradecoreDrift", "TradecoreOrderStuck", "TradecoreStoreLost"}
