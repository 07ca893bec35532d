"""Fronts the client for foreign APIs; nothing is here yet but the place in the import graph."""
