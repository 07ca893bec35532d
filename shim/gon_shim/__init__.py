"""Fronts the client for foreign APIs: the OpenCL driver (gon_shim.opencl)."""
