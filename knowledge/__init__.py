"""The team's documents: loading, chunking, embedding, indexing and finding them again.

Nothing here knows of chat platforms, language models or feedback.
"""
