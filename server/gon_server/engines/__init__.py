"""Engines: what executes programs of one format on a unit's buffers, one module a format."""
