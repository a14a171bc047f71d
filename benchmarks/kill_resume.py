"""Kill an ingest at random moments, resume it, and look for what is lost or there twice.

``python -m benchmarks.kill_resume [-n 20] [--data DIR] [--seed 1]``

Each round adds files and changes some, starts ``python -m app ingest --json``, and kills it with SIGKILL at a moment
drawn between its start and the time that all that is left takes. After each kill every acknowledged file must be stored
as it was acknowledged, and ``verify`` must be clean; after the last round one more ingest must find the rest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.serving import link_models
from indexes.store import Store

_FILES_A_ROUND, _CHANGES_A_ROUND = 24, 4
_WORDS = "pump valve seal motor filter pressure check replace every month the of and with 水泵 阀门 每年".split()


def main() -> int:
    """Run the benchmark; exit 0 when nothing was lost."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("-n", type=int, default=20, help="kills")
    arguments.add_argument("--data", type=Path, default=Path("data"), help="data directory with the models")
    arguments.add_argument("--seed", type=int, default=1)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as place:
        trial = Trial(place=Path(place), models=options.data / "models", dice=random.Random(options.seed))
        trial.write_files()
        whole_seconds = trial.ingest(kill_after=None)
        trial.check(complete=True)
        print(f"a whole round takes {whole_seconds:.1f} s")
        for n in range(1, options.n + 1):
            trial.write_files()
            # What is left over from round to round adds up, and a later kill has to fall among it too.
            kill_after = trial.dice.uniform(0, whole_seconds * (1 + n / 4))
            n_before = len(trial.acknowledged)
            trial.ingest(kill_after=kill_after)
            n_new = len(trial.acknowledged) - n_before
            print(
                f"kill {n:>2} after {kill_after:>5.1f} s: {n_new:>3} new acknowledged, {trial.check()} stored",
                flush=True,
            )
        trial.ingest(kill_after=None)
        print(
            f"resumed: {trial.check(complete=True)} stored of {len(trial.current)}, in {trial.n_killed} kills at work"
        )
    for fault in trial.faults:
        print(fault)
    print("nothing lost, nothing twice, verify clean" if not trial.faults else f"{len(trial.faults)} faults")
    return 1 if trial.faults else 0


@dataclass(slots=True)
class Trial:
    """A corpus, its data directory, and what an ingest of it has acknowledged, as hashes of content by path."""

    place: Path
    models: Path
    dice: random.Random
    current: dict[str, str] = field(default_factory=dict)
    acknowledged: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    n_killed: int = 0

    def write_files(self) -> None:
        """Add files, and change some that are there."""
        new = [f"{len(self.current) + n:04}.md" for n in range(_FILES_A_ROUND)]
        changed = self.dice.sample(sorted(self.current), min(_CHANGES_A_ROUND, len(self.current)))
        (self.place / "corpus").mkdir(exist_ok=True)
        for name in [*new, *changed]:
            words = self.dice.choices(_WORDS, k=self.dice.choice([20, 60, 200, 900]))
            content = f"# Page {name}\n\n{' '.join(words)}.\n".encode()
            (self.place / "corpus" / name).write_bytes(content)
            self.current[name] = hashlib.sha256(content).hexdigest()
            # What was acknowledged of a changed file may be replaced from now on.
            self.acknowledged.pop(name, None)

    def ingest(self, *, kill_after: float | None) -> float:
        """Run an ingest, killed after some seconds, and note what it acknowledges; return the seconds it ran."""
        (self.place / "data").mkdir(exist_ok=True)
        link_models(self.models, self.place / "data")
        started = time.monotonic()
        with (self.place / "said.jsonl").open("w") as said:
            command = ["ingest", "corpus", "--json"]
            process = subprocess.Popen(self._app(*command), cwd=self.place, stdout=said, env=self._environment())
            try:
                process.wait(kill_after)
            except subprocess.TimeoutExpired:
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                self.n_killed += 1
        seconds = time.monotonic() - started
        if kill_after is None and process.returncode != 0:
            self.faults.append(f"an ingest that was left alone ended with {process.returncode}")
        for line in (self.place / "said.jsonl").read_text("utf-8").splitlines(keepends=True):
            report = json.loads(line) if line.endswith("\n") else {}  # the last line may be half written
            if report.get("status") in ("added", "replaced", "unchanged"):
                self.acknowledged[report["path"]] = self.current[report["path"]]
            elif report.get("status"):
                self.faults.append(f"{report['path']}: {report['status']} {report.get('error', '')}")
        return seconds

    def check(self, *, complete: bool = False) -> int:
        """Compare the store with what was acknowledged; return how many sources are stored."""
        if not (self.place / "data" / "citadel.db").exists():
            return 0  # killed before there was a store
        with Store.open(self.place / "data", writer=False) as store:
            collections = [each.name for each in store.collections()]
            stored = store.sources(collection="default") if "default" in collections else {}
        expected = self.current if complete else self.acknowledged
        for path, sha256 in expected.items():
            if path not in stored or stored[path].sha256 != sha256:
                self.faults.append(f"{path}: acknowledged, and not stored as it was")
        locations = [source.location for source in stored.values()]
        if len(set(locations)) != len(locations):
            self.faults.append("a file is stored twice")
        verified = subprocess.run(
            self._app("verify"), cwd=self.place, capture_output=True, text=True, env=self._environment()
        )
        if verified.returncode:
            self.faults.append(f"verify: {verified.stdout}{verified.stderr}")
        return len(stored)

    def _app(self, *command: str) -> list[str]:
        return [sys.executable, "-m", "app", "--data", str(self.place / "data"), *command]

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent)}


if __name__ == "__main__":
    sys.exit(main())
