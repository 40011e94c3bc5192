"""One run over many pages: the queue, the stored pages, the result files."""
