"""CUDA's driver API on a leased unit: `libcuda.so.1`, whose functions are written here.

    build ─▶ library ─▶ declarations      from NVIDIA's cuda.h, where it is installed, to the driver
    entries ─▶ device scopes memory modules launching streams errors_told     what its functions do
                 └─▶ entry unit handles errors

Rules: every declaration and number is read from cuda.h when the driver is built; none is written by
hand, and nothing of NVIDIA's is kept in this tree.
"""
