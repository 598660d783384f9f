"""Training runs side by side: read (runs), tabulate (tables), draw (plots), one page (page)."""
