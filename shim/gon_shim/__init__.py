"""Fronts the client for foreign APIs: the drivers of OpenCL and CUDA, and PyTorch's device."""
