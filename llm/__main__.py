"""``python -m llm``."""

import sys

from app.model_commands import main

if __name__ == "__main__":
    sys.exit(main())
