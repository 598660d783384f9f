"""Load us where hydra runs fairseq, which itself does so later: hydra imports every module of this namespace.

In other programs of hydra's nothing happens.
"""

import sys

if "fairseq_cli.hydra_train" in sys.modules:
    from fairseq_summarymixing.plugin import launch

    launch.install()
