"""What is said in the channels of a chat platform, as documents. `knowledge.sources.history` is the source."""
