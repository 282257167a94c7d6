"""Adapters: inside a webhook the framework's own session is the conversation's state."""
