"""Python runs this first where its folder is on PYTHONPATH: a machine with two devices, as far as fairseq asks.

fairseq starts a process for each device, and torchrun's ranks are dealt out over devices. The processes themselves
compute on the CPU (common.cpu=true).
"""

import torch

torch.cuda.device_count = lambda: 2
torch.cuda.set_device = lambda device: None
