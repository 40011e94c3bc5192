"""Reads a log, undoes what terminals and chats did to it, and finds known failures in it."""
