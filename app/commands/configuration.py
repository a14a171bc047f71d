"""``config``."""

from __future__ import annotations

import argparse
import json

from core.settings import LoadedSettings


def config(arguments: argparse.Namespace, loaded: LoadedSettings) -> int:
    """Print every setting with its value and origin."""
    rows = loaded.rows()
    if arguments.json:
        print(json.dumps({name: {"value": value, "origin": origin} for name, value, origin, _ in rows}, indent=2))
        return 0
    widths = [max(len(row[i]) for row in rows) for i in range(3)]
    for name, value, origin, description in rows:
        print(f"{name:<{widths[0]}}  {value:<{widths[1]}}  {origin:<{widths[2]}}  {description}")
    return 0
