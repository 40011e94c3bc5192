"""Changes files of installed packages so that nothing else notices, proves the change, builds patched wheels."""
