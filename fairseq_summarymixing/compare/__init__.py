"""Compare training runs: read (runs), tabulate (tables), draw (plots), write one page (page)."""
