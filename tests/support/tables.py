"""Tables that tests make, printed at the end of the run, as a pytest plugin.

A test hands its table over by `record_property("table", text)`, so that a run on several processes prints it too.
"""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print every table, under the name of its test."""
    for report in (report for reports in terminalreporter.stats.values() for report in reports):
        for name, table in getattr(report, "user_properties", ()):
            if name == "table" and report.when == "call":
                terminalreporter.section(report.nodeid.rpartition("::")[2].replace("_", " "))
                terminalreporter.write_line(table)
