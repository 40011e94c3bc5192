"""Memory is sampled on time while pages come quickly, and told of all workers and GPUs together."""

from __future__ import annotations

from pathlib import Path

from paddlevl_doctor.parsing.output.run_report_model import Sample
from paddlevl_doctor.parsing.workers.watchdog import LIMITS, sum_by_time
from sessions import Stage, document


def test_the_memory_of_all_workers_is_added_up_and_that_of_a_gpu_counts_once() -> None:
    samples = (
        Sample(0.0, 100, 1000, "worker-0", "gpu:0"),
        Sample(0.1, 200, 3000, "worker-1", "gpu:1"),
        Sample(0.2, 50, 1500, "worker-2", "gpu:0"),
        Sample(1.0, 110, 1600, "worker-0", "gpu:0"),
        Sample(1.4, 0, None, "worker-1", "gpu:1"),
        Sample(1.2, 60, 1700, "worker-2", "gpu:0"),
        Sample(2.0, 0, None, "worker-0", "gpu:0"),
        Sample(2.1, 0, None, "worker-2", "gpu:0"),
    )
    assert sum_by_time(samples) == (
        Sample(0.0, 100, 1000),
        Sample(0.1, 300, 4000),
        Sample(0.2, 350, 4500),
        Sample(1.0, 360, 4600),
        Sample(1.2, 370, 4700),
        Sample(1.4, 170, 1700),
        Sample(2.0, 60, None),
        Sample(2.1, 0, None),
    )


def test_pages_that_come_quickly_do_not_keep_a_worker_from_being_sampled(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    engines = [stage.engine(limits=LIMITS) for _ in range(2)]
    stage.run([document(tmp_path, 0, 32)], engines, seconds=0.2, keeps_mb=2, together=2)
    by_worker = {
        name: [sample.rss_mb for sample in stage.samples if sample.worker == name]
        for name in {sample.worker for sample in stage.samples}
    }

    assert sorted(by_worker) == ["worker-cpu-0", "worker-cpu-1"]
    assert all(len(mb) > 3 and mb[-1] == 0 for mb in by_worker.values())
    together = [sample.rss_mb for sample in sum_by_time(stage.samples)]
    assert max(together) > max(max(mb) for mb in by_worker.values())
    assert together[-1] == 0
