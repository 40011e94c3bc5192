"""The one door to the operating system: commands, files, environment, clock, HTTP, processes."""
