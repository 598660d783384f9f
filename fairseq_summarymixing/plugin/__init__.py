"""What an import changes in fairseq: checks that end a run in one line, and the way from process to process."""
