"""What the tiny checkpoint of the self-test reads in its random part, on every machine and with every set."""

GOLDEN = (
    " TR:whiteOTL:magenta#\ufffd\ufffd ChartChart\ufffd TR:black\ufffd\ufffd"
    "OTL:magenta#\ufffd\ufffd ChartChart\ufffd TR:black\ufffd\ufffd\ufffd"
)
