"""metrics: the endpoint under friendly and hostile clients, and the thread that serves it."""

import contextlib
import http.client
import json
import re
import socket
import threading
import time

import pytest
from tradecore_metrics import endpoint
from tradecore_metrics.exporter import THREAD_NAME, Exporter
from tradecore_metrics.figures import Figures
from tradecore_metrics.plugin import Metrics
from tradecore_metrics.sinks import StatsD

from tradecore import Resources
from tradecore.testing.contract.values import portfolio_of

NOW = 1_700_000_000_000


@contextlib.contextmanager
def serving(figures, **options):
    settings = {"address": ("127.0.0.1", 0), "file": None, "statsd": None, "run_id": "run", **options}
    exporter = Exporter(figures, **settings)
    exporter.start()
    try:
        yield exporter
    finally:
        assert exporter.close(NOW)
        assert not [thread for thread in threading.enumerate() if thread.name == THREAD_NAME]


def ask(bound, target="/metrics", method="GET", headers=None):
    connection = http.client.HTTPConnection(*bound, timeout=10)
    try:
        connection.request(method, target, headers=headers or {})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


def wait_until(true, seconds=5.0):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.005)


def test_r47_a_scrape_in_both_formats():
    figures = Figures(10)
    figures.count("orders_sent", "buy", by=3)
    with serving(figures) as exporter:
        status, kind, text = ask(exporter.bound)
        assert (status, kind) == (200, "text/plain; version=0.0.4; charset=utf-8")
        assert 'tradecore_orders_sent_total{side="buy"} 3.0' in text
        assert not re.search(r"_created[{ ]", text)
        status, kind, text = ask(exporter.bound, headers={"Accept": "application/openmetrics-text;version=1.0.0"})
        assert kind.startswith("application/openmetrics-text")
        assert text.endswith("# EOF\n")
        assert not re.search(r"_created[{ ]", text)


@pytest.mark.parametrize(
    ("target", "method", "status"), [("/", "GET", 404), ("/metrics?x=1", "GET", 200), ("/metrics", "POST", 405)]
)
def test_only_get_metrics_is_answered(target, method, status):
    with serving(Figures(10)) as exporter:
        assert ask(exporter.bound, target, method)[0] == status


def test_head_has_no_body():
    with serving(Figures(10)) as exporter:
        assert ask(exporter.bound, method="HEAD")[2] == ""


def raw(bound, data):
    with socket.create_connection(bound, timeout=10) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(data)
        answer = b""
        with contextlib.suppress(ConnectionError):
            while part := connection.recv(65_536):
                answer += part
        return answer


@pytest.mark.parametrize(
    ("data", "status"),
    [(b"\r\n\r\n", b"400"), (b"GET /metrics\r\n\r\n", b"400"), (b"\xff\x00 \x01 HTTP/9\r\n\r\n", b"400"),
     (b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", b"431")],
)  # fmt: skip
def test_what_is_no_request_is_refused_and_the_next_one_served(data, status):
    with serving(Figures(10)) as exporter:
        assert raw(exporter.bound, data).split(b" ")[1] == status
        assert ask(exporter.bound)[0] == 200


def test_a_huge_request_is_cut_off_early():
    with serving(Figures(10)) as exporter:
        sent = 0
        with socket.create_connection(exporter.bound, timeout=10) as connection, contextlib.suppress(ConnectionError):
            for _ in range(2_000):
                sent += connection.send(b"x" * 65_536)
        assert sent < 50_000_000
        assert ask(exporter.bound)[0] == 200


def test_slow_clients_are_told_to_go_and_hold_nobody_for_long(monkeypatch):
    monkeypatch.setattr(endpoint, "_REQUEST_S", 0.3)
    with serving(Figures(10)) as exporter, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(exporter.bound, timeout=10)) for _ in range(12)]
        for connection in slow:
            connection.send(b"GET /met")
        started = time.monotonic()
        assert ask(exporter.bound)[0] == 200
        assert time.monotonic() - started < 3
        assert slow[0].recv(100).startswith(b"HTTP/1.1 408")


def test_a_client_that_never_reads_ends(monkeypatch):
    monkeypatch.setattr(endpoint, "_ANSWER_S", 0.2)
    figures = Figures(5_000)
    figures.put_all("symbol_fill_ratio", {(f"{n:060}",): 0.5 for n in range(5_000)})
    with serving(figures) as exporter, contextlib.ExitStack() as stack:
        for _ in range(9):
            connection = stack.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1_024)
            connection.connect(exporter.bound)
            connection.send(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert ask(exporter.bound)[0] == 200


def test_a_flood_renders_once_a_second():
    figures, now = Figures(10), [0.0]
    made = endpoint.Endpoint(figures, lambda: now[0])
    first = made._render("")[0]
    figures.count("orders_sent", "buy", by=3)
    assert made._render("")[0] is first
    now[0] = 1.0
    assert made._render("")[0] != first
    for number in range(50):
        made._render(f"text/plain;version=1.0.{number}")
    assert len(made._rendered) <= 6


def test_r47_hostile_clients_do_not_slow_the_trading_thread():
    """The trading loop's share: steps of plain work beside a flood and slow readers stay within a few milliseconds."""
    figures = Figures(10)
    with serving(figures) as exporter:
        going = threading.Event()

        def flood():
            while not going.is_set():
                with contextlib.suppress(OSError):
                    raw(exporter.bound, b"GET /metrics HTTP/1.1\r\nX: " + b"a" * 4_000 + b"\r\n\r\n")
                time.sleep(0.001)

        clients = [threading.Thread(target=flood) for _ in range(3)]
        for client in clients:
            client.start()
        try:
            spent = []
            for _ in range(300):
                started = time.perf_counter()
                figures.count("orders_sent", "buy")
                exporter.ask(NOW)
                spent.append(time.perf_counter() - started)
                time.sleep(0.001)
        finally:
            going.set()
            for client in clients:
                client.join()
        assert sorted(spent)[len(spent) // 2] < 0.01


# The exporter -----------------------------------------------------------------------------------------------------


def test_r47_a_port_in_use_is_one_alert_and_is_tried_again():
    figures = Figures(10)
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with serving(figures, address=("127.0.0.1", port)) as exporter:
            for _ in range(3):
                exporter.ask(NOW)
                time.sleep(0.02)
            (alert,) = exporter.alerts()
            assert (alert.name, alert.severity, alert.resolved) == ("metrics_endpoint", "warning", False)
            assert f"127.0.0.1:{port}" in alert.text
            assert exporter.bound is None
            other.close()
            exporter.ask(NOW)
            wait_until(lambda: exporter.bound is not None)
            assert ask(exporter.bound)[0] == 200
            (alert,) = exporter.alerts()
            assert (alert.name, alert.resolved) == ("metrics_endpoint", True)


def test_r47_a_file_and_a_server_that_are_not_there_are_one_alert_each(tmp_path):
    figures = Figures(10)
    statsd = StatsD("nobody.invalid", 8_125, tags=True)
    with serving(figures, address=None, file=tmp_path / "none" / "m.json", statsd=statsd) as exporter:
        exporter.export(NOW, final=False)
        exporter.export(NOW, final=False)
        assert sorted(alert.name for alert in exporter.alerts()) == ["metrics_json", "metrics_statsd"]
        (tmp_path / "none").mkdir()
        exporter.export(NOW, final=False)
        assert [(alert.name, alert.resolved) for alert in exporter.alerts()] == [("metrics_json", True)]


def test_r47_a_full_disk_is_one_alert_and_the_file_of_before_stays_whole(tmp_path):
    file, beside = tmp_path / "m.json", tmp_path / "m.json.tmp"
    figures = Figures(10)
    with serving(figures, address=None, file=file) as exporter:
        exporter.export(NOW, final=False)
        before = file.read_bytes()
        beside.symlink_to("/dev/full")
        for _ in range(3):
            exporter.export(NOW + 1, final=False)
        (alert,) = exporter.alerts()
        assert (alert.name, alert.resolved) == ("metrics_json", False)
        assert "No space left" in alert.text
        assert file.read_bytes() == before
        beside.unlink()
        exporter.export(NOW + 2, final=False)
        assert [(alert.name, alert.resolved) for alert in exporter.alerts()] == [("metrics_json", True)]
        assert json.loads(file.read_text())["as_of_ms"] == NOW + 2


@pytest.mark.parametrize("host", ["a..b", "x" * 64, "nobody\0"])
def test_r47_a_statsd_host_that_is_no_name_ends_no_endpoint(host, tmp_path):
    figures = Figures(10)
    with serving(figures, statsd=StatsD(host, 8_125, tags=True)) as exporter:
        exporter.ask(NOW)
        exporter.ask(NOW + 1)
        told = []
        wait_until(lambda: told.extend(exporter.alerts()) or told)
        assert [alert.name for alert in told] == ["metrics_statsd"]
        assert ask(exporter.bound)[0] == 200


def test_r47_a_dead_statsd_port_costs_nothing_and_tells_nobody():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with serving(Figures(10), address=None, statsd=StatsD("127.0.0.1", port, tags=True)) as exporter:
        started = time.monotonic()
        for number in range(5):
            exporter.export(NOW + number, final=False)
        assert time.monotonic() - started < 2
        assert exporter.alerts() == ()


def test_r47_the_file_names_the_endpoint_and_the_last_one_is_final(tmp_path):
    with serving(Figures(10), file=tmp_path / "m.json") as exporter:
        exporter.ask(NOW)
        wait_until((tmp_path / "m.json").exists)
        read = json.loads((tmp_path / "m.json").read_text())
        assert read["final"] is False
        assert read["endpoint"] == f"127.0.0.1:{exporter.bound[1]}"
    assert json.loads((tmp_path / "m.json").read_text())["final"] is True


def test_hook_jobs_the_job_tells_what_does_not_work(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        guest = Metrics(Metrics.Settings(port=other.getsockname()[1]))
        guest.on_start(Resources(tmp_path, {}, "run"))
        try:
            (job,) = guest.jobs()
            assert (job.name, job.interval_s) == ("metrics_export", 60.0)
            answer = job.ask(portfolio_of(NOW), None, None)
            assert [alert.name for alert in answer.alerts] == ["metrics_endpoint"]
            assert job.ask(portfolio_of(NOW), None, None) is None
        finally:
            guest.on_shutdown("the test ends")


def test_r47_a_session_trades_on_where_the_port_is_in_use(paced, scene, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        began = []
        sets = (f"metrics.port={other.getsockname()[1]}", "intervals.metrics_export_s=0.1")
        left = paced(scene(*sets)._replace(for_ms=600_000), tmp_path / "state", 600, began.append)
    assert left.summary["orders_sent"] > 0
    assert left.summary["alerts"]["metrics_endpoint"] == 1
    assert "metrics" not in str(left.summary["quarantined"])
