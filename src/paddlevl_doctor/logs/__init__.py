"""Reads a log, removes what terminals and chats added, and finds known failures in it."""
