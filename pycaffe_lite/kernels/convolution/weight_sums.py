"""What the algorithms for weight gradients share: transposing dy, and adding partial sums to dw."""

from pycaffe_lite.kernels.convolution.geometry import Geometry, geometry_of
from pycaffe_lite.kernels.products.blocks import store_transposed, transpose_panel
from pycaffe_lite.kernels.runtime.decorators import Array, Tasks, kernel, take_piece, take_task, worker_kernel
from pycaffe_lite.kernels.simd.tiles import panel_start, panel_width
from pycaffe_lite.kernels.simd.vectors import vector_lanes

PARTS = 4  # of the images at most, each with its own sum
ADDED = 32  # columns of dw per task that adds sums to it
MOST_TRANSPOSED = 1 << 23  # numbers of dy, 32 MB, that are transposed beforehand


def transposed_size(g: Geometry, lanes: int) -> int:
    """How many numbers the panels of `transpose_dy` hold."""
    filled = -(-(g.M // g.group) // lanes) * lanes
    return g.group * filled * (g.N * g.P * g.Q + lanes)


@kernel
def transposed_panel(g: Geometry, filled: int, group: int, m: int, lanes: int) -> int:
    """Where, among the panels of `transpose_dy`, the one starts that begins with channel m of a group.

    After its positions a panel has room for a vector of each channel.
    """
    return (group * filled + m) * (g.N * g.P * g.Q + lanes)


@worker_kernel
def transpose_dy(dy: Array, panels: Array, sizes: Array, filled: int, tasks: Tasks, _memory: Array) -> None:
    """panels[`transposed_panel` + (n * plane + j) * width + i] = dy[n; channel i of the panel; j].

    The `filled` channels of a group, whole vectors, are cut as by `panel_width`. Elements of a panel beyond
    the group's channels get arbitrary values. A task is an image of a panel.
    """
    g, lanes = geometry_of(sizes), vector_lanes(dy)
    rows, plane = g.M // g.group, g.P * g.Q
    per_group, whole = 0, plane // lanes * lanes
    while panel_start(per_group, filled, lanes) < filled:
        per_group += 1
    count = g.group * per_group
    task = take_task(tasks, g.N * count)
    while task < g.N * count:
        n, group = task // count, task % count // per_group
        m = panel_start(task % per_group, filled, lanes)
        width = panel_width(filled - m, lanes)
        many = min(width, rows - m)
        at = (n * g.M + group * rows + m) * plane
        to = transposed_panel(g, filled, group, m, lanes) + n * plane * width
        transpose_panel(dy, at, plane, many, whole, width, panels, to)
        # the next image's numbers follow directly and belong to another task
        at, to = at + whole, to + whole * width
        if at + (many - 1) * plane + lanes <= dy.size:
            store_transposed(dy, at, plane, many, plane - whole, panels, to, width)
        else:
            for j in range(plane - whole):
                for i in range(many):
                    panels[to + j * width + i] = dy[at + i * plane + j]
        task = take_task(tasks, g.N * count)


def adding_workspace(rows: int) -> int:
    """Numbers per worker that `add_sums` needs."""
    return 2 * rows * ADDED


@worker_kernel
def add_sums(
    sums: Array, dw: Array, sizes: Array, filled: int, parts: int, add: bool, tasks: Tasks, memory: Array
) -> None:
    """dw[m, k] = sum over the parts, in ascending order, of sums[part, group of m, k, m].

    With `add` it is added to dw. sums: (parts, groups, K, filled). A task is ADDED columns k of a group.
    """
    g = geometry_of(sizes)
    rows, K = g.M // g.group, g.C // g.group * g.kernel_h * g.kernel_w
    k_blocks = (K + ADDED - 1) // ADDED
    total, part = memory[: rows * ADDED], memory[rows * ADDED : 2 * rows * ADDED]
    task_count = g.group * k_blocks
    task = take_task(tasks, task_count)
    while task < task_count:
        group, k0 = task // k_blocks, task % k_blocks * ADDED
        count = min(ADDED, K - k0)
        for number in range(parts):
            at = ((number * g.group + group) * K + k0) * filled
            into = total if number == 0 else part
            store_transposed(sums, at, filled, count, rows, into, 0, ADDED)
            if number > 0:
                for i in range(total.size):
                    total[i] += part[i]
        for m in range(rows):
            to = (group * rows + m) * K + k0
            row, added = dw[to : to + count], total[m * ADDED : m * ADDED + count]
            for k in range(count):
                row[k] = row[k] + added[k] if add else added[k]
        task = take_task(tasks, task_count)


@worker_kernel
def add_parts(sums: Array, dw: Array, parts: int, add: bool, tasks: Tasks, _memory: Array) -> None:
    """dw[i] = sum over the parts, in ascending order, of sums[part, i]; with `add` it is added to dw[i]."""
    first, end = take_piece(tasks, dw.size)
    while first < end:
        for i in range(first, end):
            total = sums[i]
            for part in range(1, parts):
                total += sums[part * dw.size + i]
            dw[i] = dw[i] + total if add else total
        first, end = take_piece(tasks, dw.size)
