"""Settings of the whole suite."""

import os

import pytest
from hypothesis import settings

# Nothing is fetched: what a test needs it makes itself, or it comes with the starter packages.
os.environ["HF_HUB_OFFLINE"] = "1"

# Timings on a busy machine say nothing about the code.
settings.register_profile("parley", deadline=None)
settings.load_profile("parley")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--messages", type=int, default=500, help="how many messages the fault test sends (default: 500)"
    )
    parser.addoption("--seed", type=int, default=1, help="what the fault test draws its accidents from")
