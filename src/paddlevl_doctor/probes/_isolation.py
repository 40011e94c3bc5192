"""Keeps a probe off the network and out of the user's home.

PaddleX 3.3.0 to 3.4.3 asks four model hosts for an answer while it is imported, and up to 3.3.10 no setting stops it:
without a network that costs the resolver's patience four times, and with one a look at an installation has no
business there. So in a probe's process looking up a host name fails at once.

PaddleX keeps a cache in the home folder, and paddle writes sources there when it exports a program
(~/.cache/paddle/to_static_tmp); so a probe has a home of its own.
"""

import os
import socket


def isolate(folder):
    """Make `folder` the home of this process, switch PaddleX's host check off where it can be, refuse host names."""
    os.environ["HOME"] = os.environ["USERPROFILE"] = folder
    os.environ["PADDLE_PDX_CACHE_HOME"] = os.path.join(folder, "paddlex")
    os.environ["PADDLE_PDX_DISABLE_MODEL_SOURCE_CHECK"] = "True"
    socket.getaddrinfo = _refuse


def _refuse(host, *_, **__):
    raise socket.gaierror(socket.EAI_NONAME, "a probe does not look up %s" % host)
