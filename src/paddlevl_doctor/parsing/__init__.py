"""Reading a document: the engines, what they read, and the verdict on it."""
