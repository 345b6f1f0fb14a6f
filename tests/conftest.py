"""Settings of the whole suite."""

import os

from hypothesis import settings

# Nothing is fetched: what a test needs it makes itself, or it comes with the starter packages.
os.environ["HF_HUB_OFFLINE"] = "1"

# Timings on a busy machine say nothing about the code.
settings.register_profile("parley", deadline=None)
settings.load_profile("parley")
