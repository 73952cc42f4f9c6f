"""One contender, one scenario, one process: ``python -m bench.contenders MODULE OPTIONS SCENARIO ARGUMENTS FOLDER``.

Options and arguments are JSON; so is the answer, the last line of the standard output.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path

from bench.contenders.scenarios import SCENARIOS


def main(module: str, options: str, scenario: str, arguments: str, folder: str) -> None:
    """Print what was measured. Ends without waiting for threads that still work off a rival's backlog."""
    contender = importlib.import_module(module).contender(Path(folder), **json.loads(options))
    print("\n" + json.dumps(SCENARIOS[scenario](contender, **json.loads(arguments))), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(*sys.argv[1:])
