// SPDX-License-Identifier: Apache-2.0
// Where a block meets the caller's rows: posed Gaussians in, deformed ones out, their canonical values added last.
#pragma once
#include <cstring>

#include "cpu/kernels/kernels.h"
#include "math/activation.h"
#include "math/deform.h"

TS_TARGET_BEGIN

// One block on its way through the steps.
struct Block {
  const DeformBlocks& args;
  int64_t index;
  float* scratch;

  const float* at(const DeformPlace& place) const {
    if (place.rows) return place.rows + index * place.stride;
    return place.at >= 0 ? scratch + place.at : nullptr;
  }
  const float* weight(const DeformStep& s) const {
    return s.frame_weight >= 0 ? args.frame + s.frame_weight : s.weight;
  }
  const float* bias(const DeformStep& s) const { return s.frame_bias >= 0 ? args.frame + s.frame_bias : s.bias; }
};

// Rows of the caller's arrays: where they are, or a copy with zeros behind the last Gaussian.
struct Rows {
  int64_t first;  // row
  int n;          // of this block

  template <int kColumns>
  TS_INLINE const float* in(const float* rows, float* copy) const {
    rows += first * kColumns;
    if (n == kDeformBlock) return rows;
    std::memcpy(copy, rows, sizeof(float) * kColumns * static_cast<size_t>(n));
    std::memset(copy + kColumns * n, 0, sizeof(float) * kColumns * static_cast<size_t>(kDeformBlock - n));
    return copy;
  }
  // write(to) fills kDeformBlock rows; those that there are reach `rows`.
  template <int kColumns, class Write>
  TS_INLINE void out(float* rows, const Write& write) const {
    rows += first * kColumns;
    if (n == kDeformBlock) return write(rows);
    alignas(64) float copy[kColumns * kDeformBlock];
    write(copy);
    std::memcpy(rows, copy, sizeof(float) * kColumns * static_cast<size_t>(n));
  }
};

TS_INLINE Rows own_rows(const Block& b) {
  const int64_t first = b.index * kDeformBlock, left = b.args.in.n - first;
  return {first, static_cast<int>(left < kDeformBlock ? left : kDeformBlock)};
}

// x y z of posed rows, and what is added to them, for the lanes at `lane`.
TS_INLINE void moved(const Block& b, DeformTarget target, const float* rows, int lane, f32& x, f32& y, f32& z) {
  load3(rows + 3 * lane, x, y, z);
  const int64_t at = b.args.plan->added[static_cast<int>(target)];
  if (at < 0) return;
  const float* added = b.scratch + at + lane;
  x = x + load(added), y = y + load(added + kDeformBlock), z = z + load(added + 2 * kDeformBlock);
}

// canonical + added of a target, and then what it stands for.
TS_INLINE f32 raw(const Block& b, DeformTarget target, int column, int lane) {
  const auto t = static_cast<int>(target);
  const int at = column * kDeformBlock + lane;
  return load(b.at(b.args.plan->canonical[t]) + at) + load(b.scratch + b.args.plan->added[t] + at);
}

TS_INLINE void write_rows(const Block& b) {
  const GaussianRows& rows = b.args.rows;
  const Rows block = own_rows(b);
  alignas(64) float copy[3 * kDeformBlock];
  if (rows.mean) {
    const float* in = block.in<3>(b.args.in.mean, copy);
    block.out<3>(rows.mean, [&](float* to) {
      for (int lane = 0; lane < kDeformBlock; lane += kLanes) {
        f32 x, y, z;
        moved(b, DeformTarget::kMean, in, lane, x, y, z);
        store3(to + 3 * lane, x, y, z);
      }
    });
  }
  if (rows.scale) {
    const bool softplus = b.args.plan->added[static_cast<int>(DeformTarget::kSoftplusScale)] >= 0;
    block.out<3>(rows.scale, [&](float* to) {
      for (int lane = 0; lane < kDeformBlock; lane += kLanes) {
        f32 scale[3];
        for (int c = 0; c < 3; ++c)
          scale[c] = softplus ? softplus_accurate(raw(b, DeformTarget::kSoftplusScale, c, lane))
                              : exp_accurate(raw(b, DeformTarget::kLogScale, c, lane));
        store3(to + 3 * lane, scale[0], scale[1], scale[2]);
      }
    });
  }
  if (rows.quat) {
    block.out<4>(rows.quat, [&](float* to) {
      for (int lane = 0; lane < kDeformBlock; lane += kLanes) {
        f32 q[4];
        for (int c = 0; c < 4; ++c) q[c] = raw(b, DeformTarget::kRotation, c, lane);
        unit_rotation(q);
        store4(to + 4 * lane, q[0], q[1], q[2], q[3]);
      }
    });
  }
  if (rows.opacity) {
    block.out<1>(rows.opacity, [&](float* to) {
      for (int lane = 0; lane < kDeformBlock; lane += kLanes)
        store(to + lane, sigmoid_accurate(raw(b, DeformTarget::kLogit, 0, lane)));
    });
  }
  if (!rows.color) return;
  const DeformPlan& plan = *b.args.plan;
  const int64_t sh = plan.added[static_cast<int>(DeformTarget::kSh)];
  if (sh < 0) {
    const float* in = block.in<3>(b.args.in.color, copy);
    block.out<3>(rows.color, [&](float* to) {
      for (int lane = 0; lane < kDeformBlock; lane += kLanes) {
        f32 color[3];
        moved(b, DeformTarget::kColor, in, lane, color[0], color[1], color[2]);
        store3(to + 3 * lane, color[0], color[1], color[2]);
      }
    });
  } else if (b.args.eye_w) {
    block.out<3>(rows.color, [&](float* to) {
      const f32 zero(0.0f);
      const float* color = b.scratch + plan.color;
      for (int lane = 0; lane < kDeformBlock; lane += kLanes)
        store3(to + 3 * lane, max(load(color + lane), zero), max(load(color + kDeformBlock + lane), zero),
               max(load(color + 2 * kDeformBlock + lane), zero));
    });
  } else {
    const int columns = 3 * plan.sh_stride;
    for (int i = 0; i < block.n; ++i) {
      const int64_t row = (block.first + i) * columns;
      for (int c = 0; c < columns; ++c)
        rows.color[row + c] = b.args.in.color[row + c] + b.scratch[sh + c * kDeformBlock + i];
    }
  }
}

TS_TARGET_END
