# SPDX-License-Identifier: Apache-2.0
"""encode_rows_kernel — one step of towers of a voice for many streams at once, their products on tensor cores.

Maths    ops/encode.h; kernels/cuda/encode.h, whose jobs and layouts these are
Launch   grid (1, jobs / 16), block 256 (aot.py); one parameter, the address of jobs. A block has 16 jobs of one
         tower, from the stem to the head; where a tower has fewer, the rest is jobs without one
Reads    every packed weight once a block, 4 B a parameter; keys and values of each stream's window, taps
Writes   one key, one value, one gated row a layer and stream; feature [width_p], output [outputs_p]
Cost     6 FLOPs a parameter and stream: a float32 product is three of TF32, with float32 sums.
         A sixteenth of the weights that encode_step reads for as many streams, and a chain of products of 32 columns,
         each of which waits for memory: for one stream it is the slower one
Order    deterministic; no atomics. A row's bits do not depend on its neighbours
Edges    numbers that are not finite stay in their own stream; slots of the past that are not yet filled have no weight;
         padded rows come out as zeros
Oracle   tests/reference/encode.py, by tests/test_triton.py      Bench  make gpu-check

The residual, what attention or convolution says, and what leads from one linear to the next lie in a job's scratch
memory, and so in L2. A barrier is behind each, for what one thread wrote others read. Every function reads the places
of its rows from the jobs anew: addresses that live from one to the next, in the layout of each, leave it no registers.
"""

import triton
import triton.language as tl
from records import address, floats_at, padded, word

# 32-bit words of kernels/cuda/encode.h and ops/encode_args.h, to which csrc/cuda/triton.cc holds these.
JOB_WORDS = tl.constexpr(14)
TOWER, STATE, STEP, INPUT, FEATURE, OUTPUT, SCRATCH = (tl.constexpr(2 * i) for i in range(7))
WIDTH, WIDTH_P, HEADS, HEAD_WIDTH, HEAD_WIDTH_P = (tl.constexpr(i) for i in range(5))
WINDOW, WINDOW_P, TAPS, HIDDEN_P = (tl.constexpr(i) for i in range(5, 9))
STEM, TOWER_HEAD, N_LAYERS, LAYERS = (tl.constexpr(i) for i in (12, 18, 24, 26))
ROWS_P, COLUMNS_P, WEIGHT, BIAS = (tl.constexpr(i) for i in (0, 1, 2, 4))  # of a linear
LAYER_WORDS = tl.constexpr(42)
QKV, OUT, GATE, MIX, UP, DOWN, AGE_BIAS, CONV_WEIGHT, CONV_BIAS = (tl.constexpr(i) for i in (*range(0, 37, 6), 38, 40))
STATE_WORDS = tl.constexpr(6)
KEY, VALUE, GATED = (tl.constexpr(i) for i in (0, 2, 4))

# What opens with a linear of the normed residual; but for the head it closes with one that adds to the residual.
ATTENTION, CONVOLUTION, FEED_FORWARD, HEAD = (tl.constexpr(i) for i in range(4))

ROWS = tl.constexpr(16)
MIXED = tl.constexpr(1)  # in scratch memory, in widths of the residual: what attention or convolution says
WIDE = tl.constexpr(2)  # and what goes from one linear to the next; a head's weights are behind it
BLOCK = tl.constexpr(16)  # outputs of a matrix whose weights lie side by side
NORMED = tl.constexpr(128)  # columns of the residual that are read at once
SLOTS = tl.constexpr(64)  # of the past
PART = tl.constexpr(8)  # channels, slots or taps that are summed at once
CHANNELS = tl.constexpr(32)


@triton.jit
def places(job, member):
    """[ROWS] addresses that a block's jobs have; 0 where there is no job."""
    at = job + 4 * member + tl.arange(0, ROWS) * (4 * JOB_WORDS)
    return tl.load(at.to(tl.pointer_type(tl.int64)))


@triton.jit
def rings(job, at_layer, ring):
    """[ROWS] addresses of what streams remember of a layer."""
    states = places(job, STATE)
    at = states + at_layer * (4 * STATE_WORDS) + 4 * ring
    return tl.load(at.to(tl.pointer_type(tl.int64)), mask=states != 0, other=0)


@triton.jit
def slots_now(job, slots):
    """[ROWS] the place of this step in a ring."""
    return (places(job, STEP) % slots).to(tl.int32)


@triton.jit
def row_floats(rows, first, column, count):
    """[ROWS,columns] of each row's floats from one on; zeros past the count, and for no row."""
    there = (rows != 0)[:, None] & (column < count)[None, :]
    return tl.load(floats_at(rows)[:, None] + (first + column)[None, :], mask=there, other=0.0)


@triton.jit
def put_floats(rows, first, column, count, value):
    there = (rows != 0)[:, None] & (column < count)[None, :]
    tl.store(floats_at(rows)[:, None] + (first + column)[None, :], value, mask=there)


@triton.jit
def sigmoid(x):
    return 1.0 / (1.0 + tl.exp(-x))


@triton.jit
def normed(job, width):
    """[ROWS] mean of the residual, and what numbers about it are multiplied by."""
    mean, squares = tl.zeros((ROWS,), tl.float32), tl.zeros((ROWS,), tl.float32)
    x = places(job, SCRATCH)
    for first in range(0, width, NORMED):
        mean += tl.sum(row_floats(x, 0, first + tl.arange(0, NORMED), width), 1)
    mean = mean / width
    for first in range(0, width, NORMED):
        column = first + tl.arange(0, NORMED)
        d = tl.where((column < width)[None, :], row_floats(x, 0, column, width) - mean[:, None], 0.0)
        squares += tl.sum(d * d, 1)
    return mean, 1.0 / tl.sqrt(squares / width + 1e-5)


@triton.jit
def linear(matrix, output, rows, first, mean, scale, OUTPUTS: tl.constexpr, DEPTH: tl.constexpr):
    """[ROWS,OUTPUTS], from an output on, of weight (scale (x - mean)) + bias; x: rows from a float on."""
    outputs, columns = padded(matrix, ROWS_P), padded(matrix, COLUMNS_P)
    block = output // BLOCK + tl.arange(0, OUTPUTS // BLOCK)
    weight = floats_at(address(matrix, WEIGHT)) + block[:, None] * (columns * BLOCK)
    sums = tl.zeros((ROWS, OUTPUTS), tl.float32)
    for k in range(0, columns, DEPTH):
        a = (row_floats(rows, first, k + tl.arange(0, DEPTH), columns) - mean[:, None]) * scale[:, None]
        at = k * BLOCK + tl.arange(0, DEPTH * BLOCK)  # in the order of memory
        there = (block * BLOCK < outputs)[:, None] & (at < columns * BLOCK)[None, :]
        w = tl.reshape(tl.load(weight + at[None, :], mask=there, other=0.0), (OUTPUTS // BLOCK, DEPTH, BLOCK))
        w = tl.reshape(tl.permute(w, (1, 0, 2)), (DEPTH, OUTPUTS))
        sums = tl.dot(a, w, sums, input_precision="tf32x3")
    o = output + tl.arange(0, OUTPUTS)
    return sums + tl.load(floats_at(address(matrix, BIAS)) + o, mask=o < outputs, other=0.0)[None, :]


@triton.jit
def keep(job, tower, at_layer, o, value):
    """Outputs of qkv: the queries stay in scratch memory, keys and values of this step go into the rings."""
    width, width_p, window_p = word(tower, WIDTH), padded(tower, WIDTH_P), padded(tower, WINDOW_P)
    put_floats(places(job, SCRATCH), width_p * WIDE, o, width_p, value)
    now = slots_now(job, word(tower, WINDOW))
    key, channel = o - width_p, o - 2 * width_p
    ring = rings(job, at_layer, KEY)
    there = (ring != 0)[:, None] & ((key >= 0) & (key < width))[None, :]
    tl.store(floats_at(ring)[:, None] + key[None, :] * window_p + now[:, None], value, mask=there)
    head = channel // word(tower, HEAD_WIDTH)
    in_head = channel - head * word(tower, HEAD_WIDTH)
    at = (head[None, :] * word(tower, WINDOW) + now[:, None]) * word(tower, HEAD_WIDTH_P) + in_head[None, :]
    ring = rings(job, at_layer, VALUE)
    there = (ring != 0)[:, None] & ((channel >= 0) & (channel < width))[None, :]
    tl.store(floats_at(ring)[:, None] + at, value, mask=there)


@triton.jit
def score_head(job, tower, layer, at_layer, head, scores):
    """[ROWS] the largest of a head's scores, which are left from the float `scores` on."""
    window, window_p = word(tower, WINDOW), padded(tower, WINDOW_P)
    head_width = word(tower, HEAD_WIDTH)
    own, query_at = head * head_width, padded(tower, WIDTH_P) * WIDE + head * head_width
    step = places(job, STEP)
    filled = tl.minimum(step + 1, window).to(tl.int32)
    age_bias = floats_at(address(layer, AGE_BIAS)) + 2 * window_p * head
    age = window - 1 - (step % window).to(tl.int32)
    share = 1.0 / tl.sqrt(head_width.to(tl.float32))
    largest = tl.full((ROWS,), -3e38, tl.float32)
    for first in range(0, window, SLOTS):
        slot = first + tl.arange(0, SLOTS)
        score = tl.zeros((ROWS, SLOTS), tl.float32)
        for d in range(0, head_width, PART):
            channel = d + tl.arange(0, PART)
            query = row_floats(places(job, SCRATCH), query_at, channel, head_width)
            ring = rings(job, at_layer, KEY)
            at = (own + channel)[None, :, None] * window_p + slot[None, None, :]
            there = (channel < head_width)[None, :, None] & (slot < window_p)[None, None, :]
            there = (ring != 0)[:, None, None] & there
            score += tl.sum(query[:, :, None] * tl.load(floats_at(ring)[:, None, None] + at, mask=there, other=0.0), 1)
        there = slot[None, :] < filled[:, None]
        bias = tl.load(age_bias + age[:, None] + slot[None, :], mask=there, other=0.0)
        score = tl.where(there, score * share + bias, -3e38)
        put_floats(places(job, SCRATCH), scores, slot, window_p, score)
        largest = tl.maximum(largest, tl.max(score, 1))
    return largest


@triton.jit
def attend(job, tower, layer, at_layer):
    """What each head reads from the window, side by side."""
    window, window_p = word(tower, WINDOW), padded(tower, WINDOW_P)
    head_width, head_width_p = word(tower, HEAD_WIDTH), padded(tower, HEAD_WIDTH_P)
    width_p = padded(tower, WIDTH_P)
    scores = width_p * WIDE + tl.maximum(3 * width_p, padded(tower, HIDDEN_P))
    for head in range(word(tower, HEADS)):
        largest = score_head(job, tower, layer, at_layer, head, scores)
        tl.debug_barrier()
        filled = tl.minimum(places(job, STEP) + 1, window).to(tl.int32)
        total = tl.zeros((ROWS,), tl.float32)
        for first in range(0, window, SLOTS):
            slot = first + tl.arange(0, SLOTS)
            e = tl.exp(row_floats(places(job, SCRATCH), scores, slot, window_p) - largest[:, None])
            e = tl.where(slot[None, :] < filled[:, None], e, 0.0)
            put_floats(places(job, SCRATCH), scores, slot, window_p, e)
            total += tl.sum(e, 1)
        tl.debug_barrier()
        for c in range(0, head_width, CHANNELS):
            channel = c + tl.arange(0, CHANNELS)
            read = tl.zeros((ROWS, CHANNELS), tl.float32)
            for first in range(0, window, PART):
                slot = first + tl.arange(0, PART)
                e = row_floats(places(job, SCRATCH), scores, slot, window_p)
                ring = rings(job, at_layer, VALUE)
                at = (head * window + slot)[None, :, None] * head_width_p + channel[None, None, :]
                there = (slot < window)[None, :, None] & (channel < head_width_p)[None, None, :]
                there = (ring != 0)[:, None, None] & there
                read += tl.sum(e[:, :, None] * tl.load(floats_at(ring)[:, None, None] + at, mask=there, other=0.0), 1)
            to = width_p * MIXED + head * head_width
            put_floats(places(job, SCRATCH), to, channel, head_width, read / total[:, None])
        tl.debug_barrier()
    padding = word(tower, WIDTH) + tl.arange(0, BLOCK)
    put_floats(places(job, SCRATCH), width_p * MIXED, padding, width_p, tl.zeros((ROWS, BLOCK), tl.float32))


@triton.jit
def convolve(job, tower, layer, at_layer):
    """The gated input of this step, which is kept in the ring, and what the convolution makes of the last ones."""
    width_p, taps = padded(tower, WIDTH_P), word(tower, TAPS)
    weight, bias = floats_at(address(layer, CONV_WEIGHT)), floats_at(address(layer, CONV_BIAS))
    for first in range(0, width_p, CHANNELS):
        channel = first + tl.arange(0, CHANNELS)
        there = channel < width_p
        wide = places(job, SCRATCH)
        gate = row_floats(wide, width_p * (WIDE + 1), channel, width_p)
        gated = row_floats(wide, width_p * WIDE, channel, width_p) * sigmoid(gate)
        now = slots_now(job, taps)
        ring = rings(job, at_layer, GATED)
        to = floats_at(ring)[:, None] + now[:, None] * width_p + channel[None, :]
        tl.store(to, gated, mask=(ring != 0)[:, None] & there[None, :])
        y = tl.load(weight + channel, mask=there, other=0.0)[None, :] * gated
        y += tl.load(bias + channel, mask=there, other=0.0)[None, :]
        for a in range(1, taps, PART):
            age = a + tl.arange(0, PART)
            slot = now[:, None] - age[None, :]
            slot = tl.where(slot < 0, slot + taps, slot)
            both = (age < taps)[:, None] & there[None, :]
            w = tl.load(weight + age[:, None] * width_p + channel[None, :], mask=both, other=0.0)
            at = slot[:, :, None] * width_p + channel[None, None, :]
            ring = rings(job, at_layer, GATED)
            of_ring = (ring != 0)[:, None, None] & both[None, :, :]
            y += tl.sum(w[None, :, :] * tl.load(floats_at(ring)[:, None, None] + at, mask=of_ring, other=0.0), 1)
        put_floats(places(job, SCRATCH), width_p * MIXED, channel, width_p, y * sigmoid(y))


@triton.jit
def encode_rows_kernel(jobs, OUTPUTS: tl.constexpr, DEPTH: tl.constexpr):
    job = jobs + tl.program_id(1).to(tl.int64) * (4 * ROWS * JOB_WORDS)
    tower = address(job, TOWER)
    width, width_p = word(tower, WIDTH), padded(tower, WIDTH_P)
    no_mean, no_scale = tl.zeros((ROWS,), tl.float32), tl.full((ROWS,), 1.0, tl.float32)
    # What closes a part: a linear of the floats of a member of the jobs, from one on.
    closing, member, from_width = tower + 4 * STEM, INPUT, 0
    parts = 3 * word(tower, N_LAYERS)
    for i in range(parts + 1):
        for output in range(0, width_p, OUTPUTS):
            o = output + tl.arange(0, OUTPUTS)
            rows = places(job, member)
            sums = linear(closing, output, rows, from_width * width_p, no_mean, no_scale, OUTPUTS, DEPTH)
            before = row_floats(places(job, SCRATCH), 0, o, tl.where(i > 0, width_p, 0))
            put_floats(places(job, SCRATCH), 0, o, width_p, sums + before)
        tl.debug_barrier()
        part = tl.where(i == parts, HEAD, i % 3)
        at_layer = tl.where(i == parts, 0, i // 3)
        layer = address(tower, LAYERS) + at_layer * (4 * LAYER_WORDS)
        opens = tl.where(part == ATTENTION, QKV, tl.where(part == CONVOLUTION, GATE, UP))
        opening = tl.where(part == HEAD, tower + 4 * TOWER_HEAD, layer + 4 * opens)
        mean, scale = normed(job, width)
        outputs = padded(opening, ROWS_P)
        for output in range(0, outputs, OUTPUTS):
            o = output + tl.arange(0, OUTPUTS)
            sums = linear(opening, output, places(job, SCRATCH), 0, mean, scale, OUTPUTS, DEPTH)
            if part == ATTENTION:
                keep(job, tower, at_layer, o, sums)
            elif part == HEAD:
                put_floats(places(job, OUTPUT), 0, o, outputs, sums)
            else:
                value = tl.where(part == FEED_FORWARD, sums * sigmoid(sums), sums)
                put_floats(places(job, SCRATCH), width_p * WIDE, o, outputs, value)
        tl.debug_barrier()
        if part == ATTENTION:
            attend(job, tower, layer, at_layer)
        elif part == CONVOLUTION:
            convolve(job, tower, layer, at_layer)
        elif part == HEAD:
            for first in range(0, width_p, NORMED):
                column = first + tl.arange(0, NORMED)
                feature = (row_floats(places(job, SCRATCH), 0, column, width_p) - mean[:, None]) * scale[:, None]
                feature = tl.where((column < width)[None, :], feature, 0.0)
                put_floats(places(job, FEATURE), 0, column, width_p, feature)
        tl.debug_barrier()
        closes = tl.where(part == ATTENTION, OUT, tl.where(part == CONVOLUTION, MIX, DOWN))
        closing, member = layer + 4 * closes, SCRATCH
        from_width = tl.where(part == FEED_FORWARD, WIDE, MIXED)
