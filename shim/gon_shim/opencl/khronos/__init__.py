"""Khronos' types, constants and prototypes, generated."""
