"""The dpu engine: flows of bytes (gon.flow), a family of stages a file, run in chunks."""
