"""What a program would take over another network: a record of one run, and a model that runs it."""

# Names the directory where programs that `gon predict` runs leave what was recorded of them.
TRACE_VARIABLE = "GON_TRACE"
