"""Websites as sources: fetched page by page into the data folder, within bounds that hold for every connection."""
