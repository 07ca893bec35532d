"""The OpenCL driver: entries of the dispatch table, on top of gon_client."""
