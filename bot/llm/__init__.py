"""Language models: one protocol (OpenAI chat completions), a local engine in a child process, any server."""
