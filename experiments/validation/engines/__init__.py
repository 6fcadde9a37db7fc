"""Predictions beside whole models run by engines that others wrote: llama.cpp, ONNX Runtime and PyTorch, on this machine.

Read first: `cases.py` (what is run, and which half of the models is held out), `records.py` (a measured row). Then `llama_graph.py` (the
operators of a step of llama.cpp), `levels.py` (predictions from our own kernels, from the engine's operators, from other whole models).

May import: every house. The engines are the extra `engines`.
"""

__all__: list[str] = []
