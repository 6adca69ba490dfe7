"""Programs of this folder, measured in processes of their own."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


async def run_measured(module: str, spec: Mapping[str, Any]) -> Any:
    """Run a program of this folder in a process of its own: it reads `spec` as JSON, and answers in JSON."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await process.communicate(json.dumps(spec).encode())
    except BaseException:
        process.kill()
        raise
    if process.returncode != 0:
        raise RuntimeError(f"{module} ended with {process.returncode}")
    return json.loads(said)
