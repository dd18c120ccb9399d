"""The client that users construct."""
