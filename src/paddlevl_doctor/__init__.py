"""paddlevl-doctor: finds, explains, cures and proves what PaddleOCR-VL needs on this machine."""

__version__ = "0.1.0"
