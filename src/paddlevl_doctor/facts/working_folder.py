"""Finds modules in the working folder that Python imports instead of an installed package or a standard module.

Python looks into the folder of a script, or into the working folder, before all others.
"""

from __future__ import annotations

import sys

from paddlevl_doctor.system.machine import System

_STACK = frozenset(
    (
        *("paddle", "paddlex", "paddleocr", "numpy", "cv2", "safetensors", "PIL", "pandas", "yaml", "google"),
        *("aiohttp", "aistudio_sdk", "annotated_types", "anyio", "attr", "attrs", "baidubce", "bidi", "bs4"),
        *("certifi", "cffi", "chardet", "charset_normalizer", "click", "colorlog", "cpuinfo", "Crypto"),
        *("cryptography", "cssutils", "dateutil", "einops", "filelock", "fsspec", "ftfy", "h11", "hf_xet"),
        *("httpcore", "httpx", "huggingface_hub", "idna", "imagesize", "jinja2", "jiter", "joblib", "lxml"),
        *(
            "markupsafe",
            "modelscope",
            "networkx",
            "openai",
            "openpyxl",
            "opt_einsum",
            "packaging",
            "premailer",
        ),
        *(
            "prettytable",
            "psutil",
            "pyclipper",
            "pydantic",
            "pydantic_core",
            "pypdfium2",
            "regex",
            "requests",
        ),
        *(
            "ruamel",
            "scipy",
            "sentencepiece",
            "setuptools",
            "shapely",
            "six",
            "sklearn",
            "sniffio",
            "tiktoken",
        ),
        *("tokenizers", "tqdm", "typing_extensions", "ujson", "urllib3", "wcwidth"),
    )
)
"""What the RECORDs of the version sets install for the stack to import (sets current and 2025-11)."""
_NEVER = ("test", "this", "antigravity", "idlelib", "lib2to3", "turtle", "turtledemo")
_EARLY = ("abc", "codecs", "encodings", "genericpath", "io", "ntpath", "os", "posixpath", "site", "stat")
_HARMLESS = frozenset((*_NEVER, *_EARLY))
"""Standard modules that are imported before Python looks into the working folder, or never by the stack."""


def hiding_modules(system: System) -> tuple[str, ...]:
    """Return the files and packages (with a slash at the end) in the working folder that hide other modules.

    An extension module has a tag in its name, such as `cv2.cpython-311-x86_64-linux-gnu.so` or `cv2.abi3.so`.
    """
    hidden = (_STACK | set(sys.stdlib_module_names)) - set(sys.builtin_module_names) - _HARMLESS
    found = []
    for name in system.names(system.cwd()):
        module, _, suffix = name.partition(".")
        if module in hidden and (suffix == "py" or suffix.endswith(("so", "pyd"))):
            found.append(name)
        elif name in hidden and system.exists(system.cwd() / name / "__init__.py"):
            found.append(f"{name}/")
    return tuple(found)
