# SPDX-License-Identifier: Apache-2.0
"""Members of the host's records, which lie in words of 32 bits, for a record's address or a tensor of addresses.

csrc/cuda/triton.cc holds the places that the kernels count in to the records of kernels/cuda."""

import triton
import triton.language as tl


@triton.jit
def word(record, at):
    return tl.load((record + 4 * at).to(tl.pointer_type(tl.int32)))


@triton.jit
def padded(record, at):
    """A word that is a multiple of 16: what ends there can be read four numbers at a time."""
    return tl.multiple_of(word(record, at), 16)


@triton.jit
def number(record, at):
    return tl.load((record + 4 * at).to(tl.pointer_type(tl.float32)))


@triton.jit
def address(record, at):
    return tl.load((record + 4 * at).to(tl.pointer_type(tl.int64)))


@triton.jit
def floats_at(place):
    return tl.multiple_of(place.to(tl.pointer_type(tl.float32)), 16)
