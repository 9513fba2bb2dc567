"""Start lexbridge: `python server.py` does the same as `python -m lexbridge`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("lexbridge", run_name="__main__")
