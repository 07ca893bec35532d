"""Cells of recurrent nets, LSTM's and GRU's, as PyTorch asks devices for them: their gates at once.

What a cell keeps for its gradient, its workspace, is PyTorch's: the gates behind their functions,
side by side; for GRU the state before and its part of the new one as well.
"""

from __future__ import annotations

from torch import Tensor

from gon_client.xp.array import Array, apply
from gon_client.xp.manipulation import concat
from gon_shim.torch.kernels import kernel
from gon_shim.torch.reductions import reduced
from gon_shim.torch.storage import array_of


def _gates(x: Array, count: int) -> list[Array]:
    """Return the parts of a matrix that lie side by side."""
    width = x.shape[1] // count
    return [x[:, place * width : (place + 1) * width] for place in range(count)]


def _with(x: Array, bias: Tensor | None) -> Array:
    return x if bias is None else x + array_of(bias)


def _sigmoid(x: Array) -> Array:
    return 1 / (apply("exp", -x) + 1)


def _slope(y: Array) -> Array:
    """Return the derivative of the sigmoid, of what it gave."""
    return y - y * y


@kernel("_thnn_fused_lstm_cell")
def lstm_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    cx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Array, Array, Array]:
    gates = _with(array_of(input_gates), input_bias) + _with(array_of(hidden_gates), hidden_bias)
    entering, kept, fresh, leaving = _gates(gates, 4)
    entering, kept, leaving = _sigmoid(entering), _sigmoid(kept), _sigmoid(leaving)
    fresh = apply("tanh", fresh)
    cy = kept * array_of(cx) + entering * fresh
    hy = leaving * apply("tanh", cy)
    return hy, cy, concat([entering, kept, fresh, leaving], axis=1)


@kernel("_thnn_fused_lstm_cell_backward_impl")
def lstm_cell_backward(
    grad_hy: Tensor | None,
    grad_cy: Tensor | None,
    cx: Tensor,
    cy: Tensor,
    workspace: Tensor,
    has_bias: bool,
) -> tuple[Array, Array, Array | None]:
    entering, kept, fresh, leaving = _gates(array_of(workspace), 4)
    shown = apply("tanh", array_of(cy))
    of_hidden = shown * 0 if grad_hy is None else array_of(grad_hy)
    of_cell = of_hidden * leaving * (1 - shown * shown)
    if grad_cy is not None:
        of_cell = of_cell + array_of(grad_cy)
    grad = concat(
        [
            of_cell * fresh * _slope(entering),
            of_cell * array_of(cx) * _slope(kept),
            of_cell * entering * (1 - fresh * fresh),
            of_hidden * shown * _slope(leaving),
        ],
        axis=1,
    )
    return grad, of_cell * kept, reduced(grad, "sum", 0, keepdim=False) if has_bias else None


@kernel("_thnn_fused_gru_cell")
def gru_cell(
    input_gates: Tensor,
    hidden_gates: Tensor,
    hx: Tensor,
    input_bias: Tensor | None = None,
    hidden_bias: Tensor | None = None,
) -> tuple[Array, Array]:
    of_input = _gates(_with(array_of(input_gates), input_bias), 3)
    of_hidden = _gates(_with(array_of(hidden_gates), hidden_bias), 3)
    before = array_of(hx)
    reset = _sigmoid(of_input[0] + of_hidden[0])
    kept = _sigmoid(of_input[1] + of_hidden[1])
    fresh = apply("tanh", of_input[2] + reset * of_hidden[2])
    after = fresh + kept * (before - fresh)
    return after, concat([reset, kept, fresh, before, of_hidden[2]], axis=1)


@kernel("_thnn_fused_gru_cell_backward")
def gru_cell_backward(
    grad_hy: Tensor, workspace: Tensor, has_bias: bool
) -> tuple[Array, Array, Array, Array | None, Array | None]:
    reset, kept, fresh, before, of_hidden = _gates(array_of(workspace), 5)
    grad = array_of(grad_hy)
    of_kept = grad * (before - fresh) * _slope(kept)
    of_fresh = grad * (1 - kept) * (1 - fresh * fresh)
    of_reset = of_fresh * of_hidden * _slope(reset)
    inputs = concat([of_reset, of_kept, of_fresh], axis=1)
    hiddens = concat([of_reset, of_kept, of_fresh * reset], axis=1)
    biases = [reduced(each, "sum", 0, keepdim=False) for each in (inputs, hiddens) if has_bias]
    of_input_bias, of_hidden_bias = biases or (None, None)
    return inputs, hiddens, grad * kept, of_input_bias, of_hidden_bias
