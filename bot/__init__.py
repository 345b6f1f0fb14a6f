"""The assistant itself: the flow of a message, the model, the settings and the command line."""
