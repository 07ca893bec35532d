"""Translation of CUDA C for units that are no CUDA GPU: text in, text and signatures out."""
