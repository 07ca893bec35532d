"""The device API that a program in a VM sees."""
