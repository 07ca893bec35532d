"""Engines: each executes one program format on a unit's buffers."""
