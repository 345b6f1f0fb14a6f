"""Discord: the adapter and everything that knows Discord's ways."""
