"""What every Ensemble service runs on."""

import sys

# structlog imports rich, where it is installed, for tracebacks that are not used here; it
# would cost each process 4 MB and 150 ms.
if "structlog" not in sys.modules and "rich" not in sys.modules:
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        import structlog as structlog
    finally:
        del sys.modules["rich"]
