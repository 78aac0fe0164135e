"""Schemathesis: requests made from the HTTP API's own document, sensible or not. None is answered by a failure,
and all answers are as the document has them."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from interop import broker_url

# Answers without an end, the end of the broker, and what other suites look at.
LEFT_OUT = "/api/x/(events|logs|stop)|/api/cluster-name"

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "response_headers_conformance",
]

# 503 is how a health check says that it has failed.
CONFIG = """
[checks]
not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "503"]
"""


@pytest.mark.timeout(900)
def test_the_api_is_as_its_document_says(tmp_path):
    http = os.environ.get("LEPUS_HTTP_URL")
    if not http:
        pytest.skip("LEPUS_HTTP_URL is not set")
    (tmp_path / "schemathesis.toml").write_text(CONFIG)
    login = urlsplit(broker_url())
    st = Path(sys.executable).parent / "st"
    done = subprocess.run(
        [
            *[st, "run", f"{http}/api/openapi.json", "--auth", f"{login.username}:{login.password}"],
            *["--checks", ",".join(CHECKS), "--exclude-path-regex", LEFT_OUT],
            *["--max-examples", os.environ.get("LEPUS_EXAMPLES", "10"), "--mode", "all"],
            *["--phases", "examples,coverage,fuzzing", "--generation-deterministic"],
            *["--request-timeout", "30", "--suppress-health-check", "all", "--no-color"],
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    print(done.stdout[-20000:], done.stderr[-5000:])
    assert done.returncode == 0
