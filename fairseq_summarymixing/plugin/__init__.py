"""What an import changes in fairseq: checks that end a run in one line, and the way from process to process."""


def install() -> None:
    """Change fairseq, once in a process."""
    from .guard import guard_fairseq
    from .loading import prepare_loading
    from .processes import prepare_processes
    from .resuming import prepare_resuming

    prepare_processes()
    prepare_resuming()
    prepare_loading()
    guard_fairseq()
