"""Keeps a probe off the network and out of the user's model cache.

PaddleX 3.3.0 to 3.4.3 asks four model hosts for an answer while it is imported, and up to 3.3.10 no setting stops it:
without a network that costs the resolver's patience four times, and with one a look at an installation has no
business there. So in a probe's process looking up a host name fails at once.
"""

import os
import socket


def stay_offline(cache):
    """Give PaddleX a cache of its own, switch its host check off where it can be, and refuse to look up hosts."""
    os.environ["PADDLE_PDX_CACHE_HOME"] = cache
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
    socket.getaddrinfo = _refuse


def _refuse(host, *_, **__):
    raise socket.gaierror(socket.EAI_NONAME, "a probe does not look up %s" % host)
