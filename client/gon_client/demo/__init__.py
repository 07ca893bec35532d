"""The main job, shown to a newcomer: real pictures and digits through kernels on a remote unit.

    commands/demo ─▶ run ─▶ places       gond in a process of its own; its units, and this process
                      ├───▶ workbench    the kernels of one device: pictures, digits
                      ├───▶ checks       what SciPy and scikit-learn say the results must be
                      └───▶ album        the results as pictures on disk

Rules: the program is the same wherever the device is; everything is posted and waited for once, at
the end of a stage. Foreign packages are reached through `packages` alone and come with the extra
`gon[demo]`; nothing here is imported unless the demo is asked for. Nothing here imports the server:
gond is a process.
"""
