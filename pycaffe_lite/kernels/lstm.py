"""One time step of long short-term memory units, and its gradient.

States are (N, D). Gates and their gradients are (N, 4 D): the blocks i, f, o, g, one after another. The work
on a row is split into short loops over few arrays, which the compiler vectorises. One thread does all of it,
because it takes little time compared with the matrix product of the step.
"""

from pycaffe_lite.kernels.runtime.decorators import Array, kernel, serial_kernel
from pycaffe_lite.kernels.simd.math import sigmoid, tanh


@kernel
def _forward_row(c_prev: Array, gates: Array, cont: float, acts: Array, c: Array, h: Array) -> None:
    """As `forward`, for one n."""
    D = c.size
    for k in range(3 * D):
        acts[k] = sigmoid(gates[k])
    for k in range(3 * D, 4 * D):
        acts[k] = tanh(gates[k])
    i, f, o, g = acts[:D], acts[D : 2 * D], acts[2 * D : 3 * D], acts[3 * D :]
    for d in range(D):
        f[d] = cont * f[d] if cont != 0 else cont
    for d in range(D):
        c[d] = f[d] * c_prev[d] + i[d] * g[d]
    for d in range(D):
        h[d] = o[d] * tanh(c[d])


@serial_kernel
def forward(c_prev: Array, gates: Array, cont: Array, acts: Array, c: Array, h: Array) -> None:
    """Compute c = f c_prev + i g and h = o tanh(c); i, o = σ, f = cont σ and g = tanh of their gates.

    c_prev, c, h: (N, D). gates, acts: (N, 4 D); acts takes i, f, o and g. cont: (N,), 0 where a sequence
    begins. No array may overlap another.
    """
    for n in range(c.shape[0]):
        _forward_row(c_prev[n], gates[n], cont[n], acts[n], c[n], h[n])


@kernel
def _backward_row(
    c_prev: Array, acts: Array, c: Array, dc: Array, dh: Array, dc_prev: Array, dgates: Array
) -> None:
    """As `backward`, for one n."""
    D, one = c.size, c.dtype.type(1)
    i, f, o, g = acts[:D], acts[D : 2 * D], acts[2 * D : 3 * D], acts[3 * D :]
    di, df, do, dg = dgates[:D], dgates[D : 2 * D], dgates[2 * D : 3 * D], dgates[3 * D :]
    term, tanh_c = di, dg  # until their own values take their places
    for d in range(D):
        tanh_c[d] = tanh(c[d])
    for d in range(D):
        term[d] = dc[d] + dh[d] * o[d] * (one - tanh_c[d] * tanh_c[d])
    for d in range(D):
        do[d] = dh[d] * tanh_c[d] * o[d] * (one - o[d])
    for d in range(D):
        dc_prev[d] = term[d] * f[d]
    for d in range(D):
        df[d] = term[d] * c_prev[d] * f[d] * (one - f[d])
    for d in range(D):
        dg[d] = term[d] * i[d] * (one - g[d] * g[d])
    for d in range(D):
        di[d] = term[d] * g[d] * i[d] * (one - i[d])


@serial_kernel
def backward(
    c_prev: Array, acts: Array, c: Array, dc: Array, dh: Array, dc_prev: Array, dgates: Array
) -> None:
    """Gradients of a step, from dc and dh: dc_prev = t f, with t = dc + dh o (1 - tanh² c), and dgates.

    dgates holds t g i (1 - i), t c_prev f (1 - f), dh tanh(c) o (1 - o) and t i (1 - g²). (That of f is
    Caffe's: exact for cont 0 and 1.) c_prev, c, dc, dh, dc_prev: (N, D). acts: as `forward` left them;
    dgates: (N, 4 D). No array may overlap another.
    """
    for n in range(c.shape[0]):
        _backward_row(c_prev[n], acts[n], c[n], dc[n], dh[n], dc_prev[n], dgates[n])
