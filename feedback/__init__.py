"""What was asked, what was answered and what people thought of it: kept, measured and exported.

Nothing here knows of chat platforms, models or documents.
"""
