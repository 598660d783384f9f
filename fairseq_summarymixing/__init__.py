"""SummaryMixing wav2vec 2.0 as a fairseq plugin: ``common.user_dir=fairseq_summarymixing``.

The package itself imports nothing heavy; fairseq imports ``models`` and ``tasks`` when it is given
this folder as its user directory.
"""

__version__ = "0.1.0"
