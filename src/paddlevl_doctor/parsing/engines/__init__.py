"""One engine a module: the native pipeline, a server, the embedded reader; and the fallbacks between their settings."""
