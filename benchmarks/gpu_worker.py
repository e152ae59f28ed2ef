"""The process beside ``benchmarks/gpu.py`` that takes its steps; it may crash or hang."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


class Worker:
    """A process that takes steps (``gpu_steps.serve``); started where one is needed."""

    def __init__(self, log: Path, environment: dict[str, str]):
        self.log, self.environment = log, environment
        self.process: subprocess.Popen[str] | None = None

    def run(self, step: dict[str, Any], seconds: float) -> dict[str, Any]:
        """What the process answers, or ``failed`` where it ends or takes longer than ``seconds``."""
        if self.process is None:
            with open(self.log, "a") as log:
                self.process = subprocess.Popen(
                    [sys.executable, str(HERE / "gpu_steps.py")],
                    env=self.environment,
                    text=True,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    process_group=0,
                )
        process = self.process
        assert process.stdin is not None and process.stdout is not None
        start, line = time.monotonic(), ""
        with selectors.DefaultSelector() as answers, suppress(BrokenPipeError):
            answers.register(process.stdout, selectors.EVENT_READ)
            process.stdin.write(json.dumps(step) + "\n")
            process.stdin.flush()
            if not answers.select(seconds):
                self.end()
                return {"failed": f"took longer than {seconds:.0f} s", "seconds": seconds}
            line = process.stdout.readline()
        if not line:
            code = process.wait()
            self.end()
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            failed = f"the process ended ({how}): {self._last_line()}"
            return {"failed": failed, "seconds": time.monotonic() - start}
        answer: dict[str, Any] = json.loads(line)
        if not answer.pop("goes_on", True):
            self.end()
        return answer

    def _last_line(self) -> str:
        return (self.log.read_text(errors="replace").strip() or "nothing said").splitlines()[-1]

    def end(self) -> None:
        """Ends the process and whatever it started."""
        if self.process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        for pipe in (self.process.stdin, self.process.stdout):
            with suppress(BrokenPipeError):
                pipe.close()  # type: ignore[union-attr]
        self.process.wait()
        self.process = None
