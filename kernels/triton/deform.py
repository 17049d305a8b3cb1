# SPDX-License-Identifier: Apache-2.0
"""deform_layers — the network of a branch, its matrices on tensor cores: sums of what is added, for deform_rows_kernel.

Maths    ops/deform.h; kernels/cuda/deform.h, whose steps, layouts and memory these are: both kernels read the same jobs
Launch   grid (groups of the largest branch / 2, branches), block 128 (aot.py); one parameter, the address of jobs. A
         block has two groups of 32 Gaussians, from the first step to the last
Reads    static rows once, 2 B a number; matrices 2 B a number and block
Writes   4 B for each number that is added, in DeformJob::scratch
Cost     halves on tensor cores with float32 sums, mma.sync or Hopper's wgmma: 64 rows, 32 inputs and 64 outputs at a
         time. Values lie in global memory between steps, and so in L2: each is written, and read by every step that
         multiplies it, 2 B a number
Order    deterministic; no atomics. Sums run over the inputs, 32 at a time; a Gaussian's bits do not depend on its
         neighbours
Edges    n = 0 launches nothing; rows past the end are computed on what there is, and nobody reads them; numbers above
         65504 between layers become infinite
Oracle   tests/reference/deform.py, by tests/test_triton.py      Bench  make gpu-check

A step ends at a barrier: what one thread wrote others read. What a value is written over (`over` of
ops/deform_schedule.h) is read number by number, and each number is replaced by what was made of it.
"""

import triton
import triton.language as tl
from records import address, floats_at, number, word

# 32-bit words of kernels/cuda/deform.h, to which csrc/cuda/triton.cc holds these.
JOB_WORDS = tl.constexpr(46)
N, N_STEPS, STEPS, SH_ADDED, KEPT = (tl.constexpr(i) for i in (0, 1, 2, 6, 7))
CONSTANT, FRAME, SCRATCH = (tl.constexpr(i) for i in (22, 24, 26))
STEP_WORDS = tl.constexpr(22)
KIND, ACTIVATION, SLOPE, EPSILON, INPUTS, OUTPUTS, HEADS = (tl.constexpr(i) for i in range(7))
X, PLUS, Y, COLUMNS = (tl.constexpr(i) for i in (7, 9, 11, 12))
WEIGHT, TERMS, HEAD_WEIGHT, HEAD_TERMS, HEAD_OUTPUTS = (tl.constexpr(i) for i in (13, 15, 17, 19, 21))
LAYER, HEAD, PLAIN, SOFTMAX, NORM, TANH, SH = (tl.constexpr(i) for i in range(7))  # DeformStepKind
RELU, LEAKY_RELU = tl.constexpr(1), tl.constexpr(2)  # Activation

GROUPS = tl.constexpr(2)  # of a block
ROWS = tl.constexpr(64)
COLUMN_STRIDE = tl.constexpr(36)  # rows of a group and kDeformColumnGap
UINT4 = tl.constexpr(16)  # bytes, which places are counted in
SQUARE = tl.constexpr(512)  # halves of a group's value in 16 columns
WEIGHTS = tl.constexpr(256)  # halves of a matrix's square


@triton.jit
def halves_at(place):
    return tl.multiple_of(place.to(tl.pointer_type(tl.float16)), 16)


@triton.jit
def memory(job, step, at):
    """The address of a DeformMemory."""
    base = tl.where(word(step, at + 1) != 0, address(job, FRAME), address(job, CONSTANT))
    return base + word(step, at).to(tl.int64) * UINT4


@triton.jit
def operand(job, step, at, scratch, kept, first_group):
    """A DeformOperand: the address of the block's first group, and halves from group to group."""
    place, stride = word(step, at).to(tl.int64), word(step, at + 1)
    static = address(job, CONSTANT) + (place + first_group.to(tl.int64) * stride) * UINT4
    base = tl.where(stride != 0, static, scratch + place * UINT4)
    return base, tl.where(stride != 0, stride, kept) * (UINT4 // 2)


@triton.jit
def square_offsets(first, squares, stride, real, SQUARES: tl.constexpr):
    """[GROUPS,SQUARES * SQUARE] halves of a value in the order of memory, and which of them there are."""
    at = first * SQUARE + tl.arange(0, SQUARES * SQUARE)
    offsets = tl.arange(0, GROUPS)[:, None] * stride + at[None, :]
    return offsets, real[:, None] & (at // SQUARE < squares)[None, :]


@triton.jit
def load_value(base, first, squares, stride, real, SQUARES: tl.constexpr):
    """[ROWS,SQUARES * 16] of a value from a square on; zeros past the last."""
    offsets, there = square_offsets(first, squares, stride, real, SQUARES)
    x = tl.load(halves_at(base) + offsets, mask=there, other=0.0)
    # Of a lane g * 4 + t: the upper and the lower 16 rows; columns 0..7 and 8..15, rows 0..7 and 8..15, two neighbours.
    x = tl.reshape(x, (GROUPS, SQUARES, 2, 8, 4, 2, 2, 2))
    return tl.reshape(tl.permute(x, (0, 2, 6, 3, 1, 5, 4, 7)), (ROWS, SQUARES * 16))


@triton.jit
def store_value(base, first, squares, stride, real, y, SQUARES: tl.constexpr):
    offsets, there = square_offsets(first, squares, stride, real, SQUARES)
    y = tl.reshape(y.to(tl.float16), (GROUPS, 2, 2, 8, SQUARES, 2, 4, 2))
    y = tl.reshape(tl.permute(y, (0, 4, 1, 3, 6, 5, 2, 7)), (GROUPS, SQUARES * SQUARE))
    tl.store(halves_at(base) + offsets, y, mask=there)


@triton.jit
def load_matrix(base, first, outputs, first_input, inputs, alone, SQUARES: tl.constexpr, DEPTH: tl.constexpr):
    """[DEPTH * 16,SQUARES * 16]: the squares of inputs from first_input on, the squares of outputs from `first` on.

    alone: squares of outputs lie one by one, not in pairs."""
    s, k = first + tl.arange(0, SQUARES)[:, None, None], first_input + tl.arange(0, DEPTH)[None, :, None]
    of_two = tl.where(alone, 0, s % 2)
    side_by_side = tl.where(alone, 1, tl.minimum(outputs - s + of_two, 2))
    at = ((s - of_two) * inputs + k * side_by_side + of_two) * WEIGHTS + tl.arange(0, WEIGHTS)[None, None, :]
    w = tl.load(halves_at(base) + at, mask=(s < outputs) & (k < inputs), other=0.0)
    w = tl.reshape(w, (SQUARES, DEPTH, 8, 4, 2, 2, 2))
    return tl.reshape(tl.permute(w, (1, 5, 3, 6, 0, 4, 2)), (DEPTH * 16, SQUARES * 16))


@triton.jit
def load_head(base, first, inputs, SQUARES: tl.constexpr):
    """[SQUARES * 16,8] of a fused head's matrix."""
    s = first + tl.arange(0, SQUARES)[:, None]
    at = s * (WEIGHTS // 2) + tl.arange(0, WEIGHTS // 2)[None, :]
    w = tl.load(halves_at(base) + at, mask=s < inputs, other=0.0)
    return tl.reshape(tl.permute(tl.reshape(w, (SQUARES, 8, 4, 2, 2)), (0, 3, 2, 4, 1)), (SQUARES * 16, 8))


@triton.jit
def store_columns(base, first, count, kept, real_rows, y, WIDTH: tl.constexpr):
    rows, columns = tl.arange(0, ROWS), first + tl.arange(0, WIDTH)
    at = (rows // 32 * kept * 4 + rows % 32)[:, None] + (columns * COLUMN_STRIDE)[None, :]
    tl.store(floats_at(base) + at, y, mask=real_rows[:, None] & (columns < count)[None, :])


@triton.jit
def activated(activation, slope, x):
    below = tl.where(activation == RELU, 0.0, tl.where(activation == LEAKY_RELU, slope, 1.0) * tl.minimum(x, 0.0))
    return tl.maximum(x, 0.0) + below


@triton.jit
def layer(job, step, kind, scratch, kept, first_group, real, SQUARES: tl.constexpr, DEPTH: tl.constexpr):
    """LAYER, HEAD, PLAIN and SH: activation(scale weight x + bias + plus), stored, or what a head makes of it."""
    inputs, outputs = word(step, INPUTS), word(step, OUTPUTS)
    squares = (outputs + 15) // 16
    real_rows = tl.reshape(tl.broadcast_to(real[:, None], (GROUPS, 32)), (ROWS,))
    x, x_stride = operand(job, step, X, scratch, kept, first_group)
    plus, plus_stride = operand(job, step, PLUS, scratch, kept, first_group)
    plus_squares = tl.where(word(step, PLUS) >= 0, squares, 0)
    weight, head_weight = memory(job, step, WEIGHT), memory(job, step, HEAD_WEIGHT)
    terms, head_terms = memory(job, step, TERMS), memory(job, step, HEAD_TERMS)
    scale, plus_scale = number(terms, squares * 16), number(terms, squares * 16 + 1)
    activation, slope = word(step, ACTIVATION), number(step, SLOPE)
    to_sh = kind == SH
    columns = scratch + tl.where(to_sh, word(job, SH_ADDED), word(step, COLUMNS)).to(tl.int64) * UINT4
    y = scratch + word(step, Y).to(tl.int64) * UINT4
    head = tl.zeros((ROWS, 8), tl.float32)
    for first in range(0, squares, SQUARES):
        sums = tl.zeros((ROWS, SQUARES * 16), tl.float32)
        for k in range(0, inputs, DEPTH):
            a = load_value(x, k, inputs, x_stride, real, DEPTH)
            w = load_matrix(weight, first, squares, k, inputs, to_sh, SQUARES, DEPTH)
            sums = tl.dot(a, w, sums)
        o = first * 16 + tl.arange(0, SQUARES * 16)
        bias = tl.load(floats_at(terms) + o, mask=o < squares * 16, other=0.0)
        added = load_value(plus, first, plus_squares, plus_stride, real, SQUARES)
        v = activated(activation, slope, sums * scale + bias[None, :] + added.to(tl.float32) * plus_scale)
        if kind == HEAD:
            head = tl.dot(v.to(tl.float16), load_head(head_weight, first, squares, SQUARES), head)
        elif kind == LAYER:
            store_value(y, first, squares, kept * (UINT4 // 2), real, v, SQUARES)
        else:
            store_columns(columns, first * 16, outputs, kept, real_rows, v, SQUARES * 16)
    if kind == HEAD:
        bias = tl.load(floats_at(head_terms) + tl.arange(0, 8))
        head = head * number(head_terms, 16) + bias[None, :]
        store_columns(columns, 0, word(step, HEAD_OUTPUTS), kept, real_rows, head, 8)


@triton.jit
def softmax(step, scratch, kept, real):
    """Each head's weights over its tokens, of the scores in columns."""
    heads, outputs = word(step, HEADS), word(step, OUTPUTS)
    tokens = outputs // heads
    real_rows = tl.reshape(tl.broadcast_to(real[:, None], (GROUPS, 32)), (ROWS,))
    rows = tl.arange(0, ROWS)
    scores = floats_at(scratch + word(step, COLUMNS).to(tl.int64) * UINT4) + rows // 32 * kept * 4 + rows % 32
    y = halves_at(scratch + word(step, Y).to(tl.int64) * UINT4) + rows // 32 * kept * (UINT4 // 2)
    y += rows // 16 % 2 * 256 + rows % 8 * 32 + rows // 8 % 2 * 2
    for h in range(heads):
        own = scores + h * tokens * COLUMN_STRIDE
        largest = tl.load(own, mask=real_rows, other=0.0)
        for t in range(1, tokens):
            largest = tl.maximum(largest, tl.load(own + t * COLUMN_STRIDE, mask=real_rows, other=0.0))
        total = tl.zeros((ROWS,), tl.float32)
        for t in range(tokens):
            total += tl.exp(tl.load(own + t * COLUMN_STRIDE, mask=real_rows, other=0.0) - largest)
        for t in range(tokens):
            column = h * tokens + t
            e = tl.exp(tl.load(own + t * COLUMN_STRIDE, mask=real_rows, other=0.0) - largest)
            to = y + column // 16 * SQUARE + column % 8 // 2 * 8 + column // 8 % 2 * 4 + column % 2
            tl.store(to, (e / total).to(tl.float16), mask=real_rows)
    for column in range(outputs, (outputs + 15) // 16 * 16):
        to = y + column // 16 * SQUARE + column % 8 // 2 * 8 + column // 8 % 2 * 4 + column % 2
        tl.store(to, tl.zeros((ROWS,), tl.float16), mask=real_rows)


@triton.jit
def norm(job, step, scratch, kept, first_group, real, SQUARES: tl.constexpr):
    """activation(x normed * gamma + beta)."""
    outputs = word(step, OUTPUTS)
    squares = (outputs + 15) // 16
    x, stride = operand(job, step, X, scratch, kept, first_group)
    y = scratch + word(step, Y).to(tl.int64) * UINT4
    terms = memory(job, step, TERMS)
    x_scale = number(terms, squares * 32)
    mean, variance = tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.float32)
    for first in range(0, squares, SQUARES):
        mean += tl.sum(load_value(x, first, squares, stride, real, SQUARES).to(tl.float32), 1)
    mean = mean / outputs * x_scale
    for first in range(0, squares, SQUARES):
        d = load_value(x, first, squares, stride, real, SQUARES).to(tl.float32) * x_scale - mean[:, None]
        o = first * 16 + tl.arange(0, SQUARES * 16)
        variance += tl.sum(tl.where((o < outputs)[None, :], d * d, 0.0), 1)
    share = 1.0 / tl.sqrt(variance / outputs + number(step, EPSILON))
    for first in range(0, squares, SQUARES):
        d = load_value(x, first, squares, stride, real, SQUARES).to(tl.float32) * x_scale - mean[:, None]
        o = first * 16 + tl.arange(0, SQUARES * 16)
        gamma = tl.load(floats_at(terms) + o, mask=o < squares * 16, other=0.0)
        beta = tl.load(floats_at(terms) + squares * 16 + o, mask=o < squares * 16, other=0.0)
        v = activated(word(step, ACTIVATION), number(step, SLOPE), d * share[:, None] * gamma[None, :] + beta[None, :])
        store_value(y, first, squares, kept * (UINT4 // 2), real, v, SQUARES)


@triton.jit
def tanh(step, scratch, kept, real, SQUARES: tl.constexpr):
    squares = (word(step, OUTPUTS) + 15) // 16
    y = scratch + word(step, Y).to(tl.int64) * UINT4
    stride = kept * (UINT4 // 2)
    for first in range(0, squares, SQUARES):
        v = load_value(y, first, squares, stride, real, SQUARES).to(tl.float32)
        store_value(y, first, squares, stride, real, 1.0 - 2.0 / (1.0 + tl.exp(v + v)), SQUARES)


@triton.jit
def deform_layers_kernel(jobs, SQUARES: tl.constexpr, DEPTH: tl.constexpr):
    job = jobs + tl.program_id(1).to(tl.int64) * (4 * JOB_WORDS)
    kept = word(job, KEPT)
    first_group = tl.program_id(0) * GROUPS
    n = word(job, N)
    real = (first_group + tl.arange(0, GROUPS)) * 32 < n
    scratch = address(job, SCRATCH) + first_group.to(tl.int64) * kept * UINT4
    step = address(job, CONSTANT) + word(job, STEPS).to(tl.int64) * UINT4
    for _ in range(tl.where(first_group * 32 < n, word(job, N_STEPS), 0)):
        kind = word(step, KIND)
        if kind == SOFTMAX:
            softmax(step, scratch, kept, real)
        elif kind == NORM:
            norm(job, step, scratch, kept, first_group, real, SQUARES)
        elif kind == TANH:
            tanh(step, scratch, kept, real, SQUARES)
        else:
            layer(job, step, kind, scratch, kept, first_group, real, SQUARES, DEPTH)
        tl.debug_barrier()
        step += 4 * STEP_WORDS
