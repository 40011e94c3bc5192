"""Which model hubs answer from here. Asked only when a model is missing; the time limits are real."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from paddlevl_doctor.system import System

# The four hosters of PaddleX in its own order (official_models.py of 3.7.2). PaddleX gives each one second,
# which is too short for many proxies.
HUBS = {
    "huggingface": "https://huggingface.co",
    "aistudio": "https://aistudio.baidu.com",
    "modelscope": "https://modelscope.cn",
    "bos": "https://paddle-model-ecology.bj.bcebos.com",
}
TIMEOUT = 5.0


def hub_urls(env: Mapping[str, str]) -> dict[str, str]:
    """Return the hubs to ask; PADDLE_PDX_HUGGING_FACE_ENDPOINT (since paddlex 3.4.0) replaces the first."""
    endpoint = env.get("PADDLE_PDX_HUGGING_FACE_ENDPOINT")
    return {**HUBS, **({"huggingface": endpoint} if endpoint else {})}


def answering_hubs(system: System, timeout: float = TIMEOUT) -> tuple[str, ...]:
    """Ask all hubs side by side; return the names of those that answered within `timeout` seconds."""
    answers: dict[str, bool] = {}

    def ask(name: str, url: str) -> None:
        answers[name] = system.answers(url, timeout)

    urls = hub_urls(system.env)
    threads = [threading.Thread(target=ask, args=item, daemon=True) for item in urls.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout + 1)
    return tuple(name for name in urls if answers.get(name))
