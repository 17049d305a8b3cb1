// SPDX-License-Identifier: Apache-2.0
#include "cuda/deform_plan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "math/half.h"
#include "ops/deform_schedule.h"

namespace ts::cuda {
namespace {

constexpr int kVector = 4;      // uint32s in a uint4, which places are counted in
constexpr int kAtOnce = 2;      // squares of outputs that a layer computes together
constexpr int kTermScales = 4;  // floats behind a layer's biases

int64_t up_to(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }
int squares_of(int columns) { return static_cast<int>(up_to(columns, kDeformSquare) / kDeformSquare); }

uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}

uint32_t half_pair(float low, float high) { return half_of_float(low) | uint32_t{half_of_float(high)} << 16; }

// Of the halves that add up to a number the first is the number rounded, the second what is left of it.
float part_of(float x, int h) { return h == 0 ? x : x - float_of_half(half_of_float(x)); }

// The power of two that brings the largest of the finite numbers to 2^13..2^14: far from infinity, and so far from a half's
// smallest numbers that what is left of one is not among them. At most 2^110, which has an inverse in float32.
template <class At>
float scale_of(int64_t n, const At& at) {
  float largest = 0;
  for (int64_t i = 0; i < n; ++i) {
    const float size = std::abs(at(i));
    if (size <= 3e38f) largest = std::max(largest, size);
  }
  return largest > 0 ? std::ldexp(1.0f, std::min(13 - std::ilogb(largest), 110)) : 1.0f;
}

// Rows [n,width] times scale, as values of groups.
void pack_rows(const float* rows, int64_t n, int width, int group_rows, int halves, float scale, uint32_t* to) {
  const auto at = [&](int64_t row, int column, int h) {
    return row < n && column < width ? part_of(rows[row * width + column] * scale, h) : 0.0f;
  };
  for (int64_t first = 0; first < n; first += group_rows) {
    for (int square = 0; square < squares_of(width); ++square) {
      for (int of_two = 0; of_two < 2; ++of_two) {
        const int h = halves == 2 ? of_two : 0;
        for (int lane = 0; lane < 32; ++lane) {
          for (int i = 0; i < 4; ++i) {
            const int64_t row = first + (halves == 2 ? 0 : 16 * of_two) + 8 * (i % 2) + lane / 4;
            const int column = kDeformSquare * square + 8 * (i / 2) + 2 * (lane % 4);
            *to++ = half_pair(at(row, column, h), at(row, column + 1, h));
          }
        }
      }
    }
  }
}

// A matrix's shape, and how lanes read it.
struct Packing {
  int outputs, inputs;
  int halves;
  int at_once;  // squares of outputs side by side; 0: as a fused head, of eight outputs

  int64_t words() const {  // uint32s
    const int64_t lanes = int64_t{halves} * squares_of(inputs) * 32;
    return at_once == 0 ? 2 * lanes : 4 * lanes * squares_of(outputs);
  }
};

// weight [outputs,inputs], times gain [inputs] (Nullable). Returns what undoes the scale.
float pack_matrix(const Packing& packing, const float* weight, const float* gain, uint32_t* to) {
  const int inputs = packing.inputs;
  const auto product = [&](int64_t i) { return gain ? weight[i] * gain[i % inputs] : weight[i]; };
  const float scale = scale_of(int64_t{packing.outputs} * inputs, product);
  const auto at = [&](int o, int i, int h) {
    return o < packing.outputs && i < inputs ? part_of(product(int64_t{o} * inputs + i) * scale, h) : 0.0f;
  };
  // The B operand of eight outputs from `first` on.
  const auto operand = [&](int first, int square, int lane, int h) {
    for (const int column : {0, 8}) {
      const int o = first + lane / 4, i = kDeformSquare * square + column + 2 * (lane % 4);
      *to++ = half_pair(at(o, i, h), at(o, i + 1, h));
    }
  };
  const bool head = packing.at_once == 0;
  const int out_squares = head ? 1 : squares_of(packing.outputs), step = head ? 1 : packing.at_once;
  for (int first = 0; first < out_squares; first += step) {
    for (int square = 0; square < squares_of(inputs); ++square) {
      for (int out = first; out < std::min(first + step, out_squares); ++out) {
        for (int h = 0; h < packing.halves; ++h) {
          for (int lane = 0; lane < 32; ++lane) {
            operand(kDeformSquare * out, square, lane, h);
            if (!head) operand(kDeformSquare * out + 8, square, lane, h);
          }
        }
      }
    }
  }
  return 1 / scale;
}

// A layer's terms: biases (Nullable, and more of them from the frame, Nullable), zeros to the end of the square, scales.
void write_terms(int outputs, const float* bias, const float* frame, float scale, float plus_scale, uint32_t* to) {
  const int64_t columns = up_to(outputs, kDeformSquare);
  for (int64_t o = 0; o < columns; ++o) {
    const float own = bias && o < outputs ? bias[o] : 0.0f;
    to[o] = bits_of(frame && o < outputs ? own + frame[o] : own);
  }
  to[columns] = bits_of(scale), to[columns + 1] = bits_of(plus_scale);
  to[columns + 2] = to[columns + 3] = 0;
}
int64_t term_words(int outputs) { return up_to(outputs, kDeformSquare) + kTermScales; }

}  // namespace

// Lays the stages of a branch out as steps.
class DeformPlanner {
 public:
  DeformPlanner(DeformPlan& plan, const GaussianView& at_rest, int64_t first_row)
      : plan_(plan), branch_(*plan.branch_), at_rest_(at_rest), first_row_(first_row), values_(branch_.values.size()) {}

  void run() {
    const std::vector<DeformWork> works = schedule(branch_);
    for (const DeformWork& work : works) place_added(work);
    for (const DeformWork& work : works) {
      make(work);
      for (const int dead : work.dead) give_back(dead);
    }
    canonical();
    DeformLayout& layout = plan_.layout_;
    layout.n = static_cast<int32_t>(branch_.n);
    layout.scratch = layout.kept = static_cast<int32_t>(scratch_.high());
    if (branch_.adds_to(DeformTarget::kSh)) {
      layout.sh_added = layout.scratch;
      layout.kept += static_cast<int32_t>(column_size(layout.sh_columns));
    }
    layout.n_steps = static_cast<int32_t>(steps_.size());
    static_assert(sizeof(DeformStep) % sizeof(uint32_t) == 0);
    const int64_t words = static_cast<int64_t>(steps_.size() * sizeof(DeformStep) / sizeof(uint32_t));
    layout.steps = static_cast<int32_t>(keep(words) / kVector);
    if (words > 0)
      std::memcpy(&plan_.constant_[static_cast<size_t>(layout.steps) * kVector], steps_.data(),
                  4 * static_cast<size_t>(words));
  }

 private:
  struct Value {
    DeformOperand place;
    float scale = 1;  // what undoes it
  };

  Value& value(int i) { return values_[static_cast<size_t>(i)]; }
  int width(int i) const { return branch_.values[static_cast<size_t>(i)].width; }
  // In uint4s.
  int64_t value_size(int width) const { return int64_t{kDeformSquareSize} * squares_of(width); }
  int64_t column_size(int columns) const { return columns * (plan_.rows_ + kDeformColumnGap) / kVector; }
  int32_t& added(DeformTarget target) { return plan_.layout_.added[static_cast<int>(target)]; }

  // What is added lives to the end: it lies before all else, where it leaves no gaps.
  void place_added(const DeformWork& work) {
    if (work.heads.empty() || work.adds_to_sh()) return;
    int64_t at = scratch_.take(column_size(work.n_added()));
    for (const DeformStage* head : work.heads) {
      added(head->target) = static_cast<int32_t>(at);
      at += column_size(head->outputs);
    }
  }

  // uint32s of constant or frame memory, from a whole uint4 on.
  int64_t keep(int64_t n) {
    const size_t at = plan_.constant_.size();
    plan_.constant_.resize(at + static_cast<size_t>(up_to(n, kVector)));
    return static_cast<int64_t>(at);
  }
  int64_t frame(int64_t n) { return std::exchange(plan_.frame_words_, plan_.frame_words_ + up_to(n, kVector)); }
  uint32_t* kept(int64_t at) { return plan_.constant_.data() + at; }
  static DeformMemory constant_at(int64_t at) { return {static_cast<int32_t>(at / kVector), 0}; }
  static DeformMemory frame_at(int64_t at) { return {static_cast<int32_t>(at / kVector), 1}; }

  // Where a value is: static rows are packed when the first stage reads them.
  const Value& operand(int i) {
    Value& of = value(i);
    const DeformValue& made = branch_.values[static_cast<size_t>(i)];
    if (of.place.at >= 0 || !made.rows) return of;
    const float scale = scale_of(branch_.n * made.width, [&](int64_t k) { return made.rows[k]; });
    of.scale = 1 / scale;
    const int64_t stride = value_size(made.width), at = keep(kVector * stride * plan_.groups());
    of.place = {static_cast<int32_t>(at / kVector), static_cast<int32_t>(stride)};
    pack_rows(made.rows, branch_.n, made.width, static_cast<int>(plan_.rows_), plan_.halves_, scale, kept(at));
    return of;
  }

  int32_t take_value(int width) { return static_cast<int32_t>(scratch_.take(value_size(width))); }
  int32_t place(const DeformWork& work) {
    DeformOperand& out = value(work.stage->out).place;
    const bool free = work.over >= 0 && value(work.over).place.stride == 0 && value(work.over).place.at >= 0;
    out.at = free ? std::exchange(value(work.over).place.at, -1) : take_value(work.stage->outputs);
    return out.at;
  }
  void give_back(int dead) {
    DeformOperand& of = value(dead).place;
    if (of.stride == 0 && of.at >= 0) scratch_.give_back(std::exchange(of.at, -1));
  }

  void make(const DeformWork& work) {
    switch (work.stage->kind) {
      case DeformKind::kLinear:
        return layer(work);
      case DeformKind::kAttention:
        return attend(work);
      case DeformKind::kNorm:
        return norm(work);
      case DeformKind::kAdd:
        return add(work.heads);
    }
  }

  DeformStep step_of(DeformStepKind kind, int outputs, int in = -1) {
    DeformStep step;
    step.kind = kind;
    step.outputs = outputs;
    if (in >= 0) step.x = operand(in).place, step.inputs = squares_of(width(in));
    return step;
  }
  // A step that writes a stage's value, and what is done to it then.
  void finish(DeformStep& step, const DeformStage& stage, int32_t y) {
    step.y = y;
    const bool is_tanh = stage.activation == Activation::kTanh;
    if (!is_tanh) step.activation = stage.activation, step.slope = stage.slope;
    steps_.push_back(step);
    if (!is_tanh) return;
    DeformStep after = step_of(DeformStepKind::kTanh, stage.outputs);
    after.y = y;
    steps_.push_back(after);
  }

  void layer(const DeformWork& work) {
    const DeformStage& stage = *work.stage;
    DeformStep step = step_of(DeformStepKind::kLayer, stage.outputs, stage.in);
    const int inputs = stage.in >= 0 ? width(stage.in) : 0;
    DeformPlan::Fill fill{&stage, inputs};
    if (stage.in >= 0) fill.x_scale = value(stage.in).scale;
    if (stage.plus >= 0) step.plus = operand(stage.plus).place, fill.plus_scale = value(stage.plus).scale;
    if (stage.gain >= 0) {
      fill.weight = frame(packing(stage.outputs, inputs, kAtOnce).words());
      step.weight = frame_at(fill.weight);
    } else if (inputs > 0) {
      fill.weight_scale = matrix(stage.map.weight, stage.outputs, inputs, kAtOnce, step.weight);
    }
    if (stage.gain >= 0 || stage.frame >= 0) {
      fill.terms = frame(term_words(stage.outputs));
      step.terms = frame_at(fill.terms);
      plan_.fills_.push_back(fill);
    } else {
      step.terms = terms(stage.outputs, stage.map.bias, fill.weight_scale * fill.x_scale, fill.plus_scale);
    }
    const DeformStage* head = work.fused();
    if (!head) return finish(step, stage, place(work));
    if (stage.activation == Activation::kTanh) {  // which is not done in registers
      finish(step, stage, place(work));
      add(work.heads);
      return give_back(stage.out);
    }
    step.kind = DeformStepKind::kHead;
    step.activation = stage.activation, step.slope = stage.slope;
    step.head_outputs = head->outputs;
    const float scale = matrix(head->map.weight, head->outputs, stage.outputs, 0, step.head_weight);
    step.head_terms = terms(head->outputs, head->map.bias, scale, 1);
    step.columns = added(head->target);
    steps_.push_back(step);
  }

  // Heads of one input as one matrix; what is added to SH 16 columns at a time.
  void add(const std::vector<const DeformStage*>& heads) {
    const int in = heads[0]->in;
    const bool to_sh = heads[0]->target == DeformTarget::kSh;
    const JoinedHeads joined(heads, width(in));
    DeformStep step =
        step_of(to_sh ? DeformStepKind::kSh : DeformStepKind::kColumns, static_cast<int>(joined.bias.size()), in);
    const float scale = matrix(joined.weight.data(), step.outputs, width(in), to_sh ? 1 : kAtOnce, step.weight);
    step.terms = terms(step.outputs, joined.bias.data(), scale * value(in).scale, 1);
    step.columns = to_sh ? static_cast<int32_t>(scratch_.take(column_size(kDeformSquare))) : added(heads[0]->target);
    steps_.push_back(step);
  }

  void norm(const DeformWork& work) {
    const DeformStage& stage = *work.stage;
    DeformStep step = step_of(DeformStepKind::kNorm, stage.outputs, stage.in);
    step.epsilon = stage.epsilon;
    const int64_t columns = up_to(stage.outputs, kDeformSquare), at = keep(columns + term_words(stage.outputs));
    write_terms(stage.outputs, stage.map.bias, nullptr, value(stage.in).scale, 1, kept(at + columns));
    for (int o = 0; o < stage.outputs; ++o) kept(at)[o] = bits_of(stage.map.weight[o]);
    step.terms = constant_at(at);
    finish(step, stage, place(work));
  }

  // Scores, their softmax, and what the tokens' values come to.
  void attend(const DeformWork& work) {
    const DeformStage& stage = *work.stage;
    const int d = stage.outputs, n_scores = stage.heads * static_cast<int>(stage.tokens.size());
    DeformPlan::Fill fill{&stage, d};
    fill.weight = frame(packing(n_scores, d, kAtOnce).words());
    fill.terms = frame(term_words(n_scores));
    fill.mix_weight = frame(packing(d, n_scores, kAtOnce).words());
    fill.mix_terms = frame(term_words(d));
    plan_.work_floats_ = std::max(plan_.work_floats_, (2 * int64_t{d} + 1) * n_scores);

    DeformStep scores = step_of(DeformStepKind::kColumns, n_scores, stage.in);
    fill.x_scale = value(stage.in).scale;
    DeformStep read = step_of(DeformStepKind::kLayer, d);
    if (stage.plus >= 0) read.plus = operand(stage.plus).place, fill.plus_scale = value(stage.plus).scale;
    // Before what lives in between alone, so that this leaves no gap in front of it.
    const int32_t y = place(work);

    scores.weight = frame_at(fill.weight), scores.terms = frame_at(fill.terms);
    scores.columns = static_cast<int32_t>(scratch_.take(column_size(n_scores)));
    steps_.push_back(scores);

    DeformStep softmax = step_of(DeformStepKind::kSoftmax, n_scores);
    softmax.heads = stage.heads;
    softmax.columns = scores.columns;
    softmax.y = take_value(n_scores);
    steps_.push_back(softmax);
    scratch_.give_back(scores.columns);

    read.x.at = softmax.y, read.inputs = squares_of(n_scores);
    read.weight = frame_at(fill.mix_weight), read.terms = frame_at(fill.mix_terms);
    finish(read, stage, y);
    scratch_.give_back(softmax.y);
    plan_.fills_.push_back(fill);
  }

  Packing packing(int outputs, int inputs, int at_once) const { return {outputs, inputs, plan_.halves_, at_once}; }

  // Constant; returns what undoes its scale.
  float matrix(const float* weight, int outputs, int inputs, int at_once, DeformMemory& place) {
    const Packing packed = packing(outputs, inputs, at_once);
    const int64_t at = keep(packed.words());
    place = constant_at(at);
    return pack_matrix(packed, weight, nullptr, kept(at));
  }
  DeformMemory terms(int outputs, const float* bias, float scale, float plus_scale) {
    const int64_t at = keep(term_words(outputs));
    write_terms(outputs, bias, nullptr, scale, plus_scale, kept(at));
    return constant_at(at);
  }

  void canonical() {
    const auto take = [&](DeformTarget target, const float* rows, int columns) {
      if (!rows || !branch_.adds_to(target)) return;
      const int64_t n = plan_.rows_;
      const int64_t at = keep(up_to(branch_.n, n) * columns);
      plan_.layout_.canonical[static_cast<int>(target)] = static_cast<int32_t>(at / kVector);
      for (int64_t i = 0; i < branch_.n; ++i) {
        for (int c = 0; c < columns; ++c) kept(at)[(i / n * columns + c) * n + i % n] = bits_of(rows[i * columns + c]);
      }
    };
    take(DeformTarget::kLogScale, branch_.log_scale, 3);
    take(DeformTarget::kSoftplusScale, branch_.softplus_scale, 3);
    take(DeformTarget::kRotation, branch_.rotation, 4);
    take(DeformTarget::kLogit, branch_.logit, 1);
    if (at_rest_.sh_degree < 0 || !branch_.adds_to(DeformTarget::kSh)) return;
    const int columns = static_cast<int>(color_stride(at_rest_));
    plan_.layout_.sh_degree = at_rest_.sh_degree, plan_.layout_.sh_columns = columns;
    take(DeformTarget::kSh, at_rest_.color + first_row_ * columns, columns);
  }

  DeformPlan& plan_;
  const DeformBranch& branch_;
  const GaussianView& at_rest_;
  const int64_t first_row_;
  std::vector<Value> values_;
  std::vector<DeformStep> steps_;
  DeformScratch scratch_;  // words
};

DeformPlan::DeformPlan(const DeformProgram& program, const DeformBranch& branch, const GaussianView& at_rest,
                       int64_t first_row, bool fast)
    : program_(&program),
      branch_(&branch),
      rows_(fast ? kDeformFastRows : kDeformReferenceRows),
      halves_(fast ? 1 : 2) {
  std::fill(std::begin(layout_.added), std::end(layout_.added), -1);
  std::fill(std::begin(layout_.canonical), std::end(layout_.canonical), -1);
  DeformPlanner(*this, at_rest, first_row).run();
}

void DeformPlan::fill(const float* condition, float* work, void* frame) const {
  auto* words = static_cast<uint32_t*>(frame);
  const auto of = [&](int value) {
    return value < 0 ? nullptr : condition + program_->condition.values[static_cast<size_t>(value)].at;
  };
  for (const Fill& fill : fills_) {
    const DeformStage& stage = *fill.stage;
    if (stage.kind != DeformKind::kAttention) {
      float scale = fill.weight_scale;
      if (fill.weight >= 0) {
        const Packing packing{stage.outputs, fill.inputs, halves_, kAtOnce};
        scale = pack_matrix(packing, stage.map.weight, of(stage.gain), words + fill.weight);
      }
      write_terms(stage.outputs, stage.map.bias, of(stage.frame), scale * fill.x_scale, fill.plus_scale,
                  words + fill.terms);
      continue;
    }
    const int d = stage.outputs, n_scores = stage.heads * static_cast<int>(stage.tokens.size());
    float *scores = work, *mix = scores + int64_t{n_scores} * d, *bias = mix + int64_t{n_scores} * d;
    fold_attention(stage, program_->condition, condition, {scores, bias, mix});
    const float score_scale = pack_matrix({n_scores, d, halves_, kAtOnce}, scores, nullptr, words + fill.weight);
    write_terms(n_scores, bias, nullptr, score_scale * fill.x_scale, 1, words + fill.terms);
    const float mix_scale = pack_matrix({d, n_scores, halves_, kAtOnce}, mix, nullptr, words + fill.mix_weight);
    write_terms(d, stage.mix.bias, nullptr, mix_scale, fill.plus_scale, words + fill.mix_terms);
  }
}

Status choose_warps(const std::vector<DeformPlan>& branches, const SharedMemory& shared, int& warps) {
  uint64_t warp_bytes = 0;
  const DeformPlan* widest = nullptr;
  for (const DeformPlan& plan : branches) {
    if (plan.warp_bytes() >= warp_bytes) warp_bytes = plan.warp_bytes(), widest = &plan;
  }
  uint64_t most = 0;
  for (int n = 1; n <= kMaxDeformWarps; n *= 2) {
    const uint64_t in_block = static_cast<uint64_t>(n), block = in_block * warp_bytes;
    if (block > shared.per_block) break;
    const uint64_t blocks = shared.per_processor / std::max<uint64_t>(block + shared.reserved, 1);
    const uint64_t resident = std::min<uint64_t>(blocks * in_block, kResidentDeformWarps);
    if (resident > most) most = resident, warps = n;
  }
  if (most > 0) return {};
  return error(
      StatusCode::kDeviceError,
      "deform: a GPU with %llu bytes of shared memory for a block cannot run branch \"%s\", whose values need %llu "
      "for %d Gaussians at a time. Open the engine with device=\"cpu\" for this avatar.",
      static_cast<unsigned long long>(shared.per_block), widest ? widest->branch().name.c_str() : "",
      static_cast<unsigned long long>(warp_bytes), kDeformReferenceRows);
}

}  // namespace ts::cuda
