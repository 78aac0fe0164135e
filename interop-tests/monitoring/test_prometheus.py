"""A Prometheus server that looks at the broker: every query of RabbitMQ's dashboards and of ours has data."""

import json
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
import requests

from interop import wait_until

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"

# What Prometheus itself has, and what functions are called.
NAME = re.compile(r"\b(?:lepus|rabbitmq)_[a-z0-9_]+\b(?!\s*=)")

# In a healthy broker there is nothing for these to show.
ONLY_IN_TROUBLE = {"rabbitmq_auth_attempts_failed_total"}


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Prometheus:
    def __init__(self, directory, metrics):
        self.url = f"http://127.0.0.1:{free_port()}"
        jobs = {"lepus": "/metrics", "objects": "/metrics/per-object"}
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(DOCS / "alerts.yml")],
            "scrape_configs": [
                {"job_name": job, "metrics_path": path, "static_configs": [{"targets": [metrics]}]}
                for job, path in jobs.items()
            ],
        }
        # JSON is YAML too.
        (directory / "prometheus.yml").write_text(json.dumps(config))
        self.log = open(directory / "prometheus.log", "wb")
        command = ["prometheus", f"--config.file={directory}/prometheus.yml"]
        command += [f"--storage.tsdb.path={directory}/data", f"--web.listen-address={self.url[7:]}"]
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log)

    def ask(self, path, **query):
        answer = requests.get(f"{self.url}/api/v1/{path}", params=query, timeout=30).json()
        assert answer["status"] == "success", f"{path} {query}: {answer}"
        return answer["data"]

    def is_ready(self):
        try:
            return requests.get(f"{self.url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            assert self.process.poll() is None, "prometheus ended"
            return False

    def finds(self, query):
        return self.ask("query", query=query)["result"]

    def wait_for(self, queries):
        """Those that have no data although they were given time: rates need some scrapes."""
        missing, end = list(queries), time.monotonic() + 45
        while missing and time.monotonic() < end:
            missing = [query for query in missing if not self.finds(query)]
            time.sleep(0.2)
        return missing

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory, metrics, traffic):
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed")
    server = Prometheus(tmp_path_factory.mktemp("prometheus"), metrics)
    try:
        wait_until(server.is_ready, "prometheus", deadline=60)
        wait_until(lambda: len(server.finds("up == 1")) == 2, "two scrapes", deadline=60)
        yield server
    finally:
        server.stop()


def filled_in(query, variables):
    usual = {"__rate_interval": "20s", "__range": "30s", "instance": ".*"}
    for name, value in (usual | variables).items():
        query = query.replace(f"${name}", value)
    assert "$" not in query, query
    return query


def test_rabbitmqs_dashboards_show_something(prometheus):
    seen = prometheus.finds('rabbitmq_identity_info{job="lepus"}')[0]["metric"]
    variables = {
        "rabbitmq_cluster": seen["rabbitmq_cluster"],
        "namespace": seen.get("namespace", ""),
        "endpoint": seen["rabbitmq_endpoint"],
    }
    lines = (HERE / "rabbitmq_dashboards.promql").read_text().splitlines()
    queries = [filled_in(line, variables) for line in lines if not line.startswith("#")]
    assert len(queries) > 80
    missing = prometheus.wait_for(queries)
    assert not missing, "\n".join(missing)


def expressions(panels):
    for panel in panels:
        yield from (target["expr"] for target in panel.get("targets", []))
        yield from expressions(panel.get("panels", []))


def test_our_dashboard_shows_something(prometheus):
    dashboard = json.loads((DOCS / "grafana" / "lepus.json").read_text())
    queries = {filled_in(query, {}) for query in expressions(dashboard["panels"])}
    assert len(queries) > 30
    missing = prometheus.wait_for(queries)
    assert not missing, "\n".join(missing)


def test_alerts_are_evaluated_and_silent(prometheus):
    def rules():
        groups = prometheus.ask("rules", type="alert")["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        return found if all(rule["health"] != "unknown" for rule in found) else []

    found = wait_until(rules, "rules that were evaluated", deadline=45)
    assert len(found) > 8
    for rule in found:
        assert rule["health"] == "ok", rule
    # What has no data would be silent, whatever happens.
    names = {name for rule in found for name in NAME.findall(rule["query"])} - ONLY_IN_TROUBLE
    names = {name for name in names if not name.startswith("rabbitmq_detailed_")}
    missing = prometheus.wait_for(names)
    assert not missing, missing
    firing = [rule["name"] for rule in found if rule["state"] == "firing"]
    assert not firing


def test_every_scrape_succeeds(prometheus):
    for job in ["lepus", "objects"]:
        assert prometheus.finds(f'min_over_time(up{{job="{job}"}}[30s]) == 1'), job
        took = prometheus.finds(f'scrape_samples_scraped{{job="{job}"}}')
        assert float(took[0]["value"][1]) > 100
