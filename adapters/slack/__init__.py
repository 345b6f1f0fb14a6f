"""Slack: the adapter and everything that knows Slack's ways."""
