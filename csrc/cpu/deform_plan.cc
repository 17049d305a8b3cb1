// SPDX-License-Identifier: Apache-2.0
#include "cpu/deform_plan.h"

#include <algorithm>
#include <utility>

#include "math/bf16.h"
#include "ops/deform_schedule.h"

namespace ts {
namespace {

int64_t up_to(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Pairs of a value: a multiple of the 16 that kSquares reads at a time.
int64_t pair_rows(int width) { return up_to((width + 1) / 2, 16); }
int64_t block_words(int width, bool pairs) { return kDeformBlock * (pairs ? pair_rows(width) : width); }

// Rows [n,width] to blocks, with zeros beyond n and width.
void block_rows(const float* rows, int64_t n, int width, bool pairs, float* out) {
  const int64_t words = block_words(width, pairs);
  std::fill_n(out, up_to(n, kDeformBlock) / kDeformBlock * words, 0.0f);
  for (int64_t i = 0; i < n; ++i) {
    float* to = out + i / kDeformBlock * words + i % kDeformBlock;
    const float* row = rows + i * width;
    if (!pairs) {
      for (int c = 0; c < width; ++c) to[c * kDeformBlock] = row[c];
      continue;
    }
    for (int c = 0; c < width; c += 2) to[c / 2 * kDeformBlock] = bf16_pair(row[c], c + 1 < width ? row[c + 1] : 0.0f);
  }
}

int64_t packed_words(DeformPacking packing, int outputs, int inputs) {
  switch (packing) {
    case DeformPacking::kFp32:
      return int64_t{outputs} * inputs;
    case DeformPacking::kPairs:
      return int64_t{outputs} * ((inputs + 1) / 2);
    case DeformPacking::kSquares:
      break;
  }
  return up_to(outputs, 16) * pair_rows(inputs);
}

// weight [outputs,inputs], times gain [inputs] (Nullable), as kernels read it.
void pack(DeformPacking packing, int outputs_at_once, int outputs, int inputs, const float* weight, const float* gain,
          float* to) {
  const auto at = [&](int o, int i) {
    if (o >= outputs || i >= inputs) return 0.0f;
    const float w = weight[int64_t{o} * inputs + i];
    return gain ? w * gain[i] : w;
  };
  if (packing == DeformPacking::kSquares) {
    for (int o = 0; o < outputs; o += 16) {
      for (int i = 0; i < 2 * pair_rows(inputs); i += 32) {
        for (int row = o; row < o + 16; ++row) {
          for (int c = i; c < i + 32; c += 2) *to++ = bf16_pair(at(row, c), at(row, c + 1));
        }
      }
    }
    return;
  }
  const bool pairs = packing == DeformPacking::kPairs;
  for (int first = 0; first < outputs; first += outputs_at_once) {
    const int end = std::min(first + outputs_at_once, outputs);
    for (int i = 0; i < inputs; i += pairs ? 2 : 1) {
      for (int o = first; o < end; ++o) *to++ = pairs ? bf16_pair(at(o, i), at(o, i + 1)) : at(o, i);
    }
  }
}

}  // namespace

// Lays the stages of a branch out as steps.
class DeformPlanner {
 public:
  DeformPlanner(DeformPlan& plan, const GaussianView& at_rest)
      : plan_(plan),
        branch_(*plan.branch),
        at_rest_(at_rest),
        bf16_(plan.packing_ != DeformPacking::kFp32),
        values_(branch_.values.size()) {}

  void run() {
    if (plan_.packing_ == DeformPacking::kSquares) plan_.squares = scratch_.take(2 * 16 * kDeformBlock);
    const std::vector<DeformWork> works = schedule(branch_);
    for (const DeformWork& work : works) {
      find_readers(work);
      place_added(work);
    }
    for (size_t v = 0; v < values_.size(); ++v) block_value(v);
    for (const DeformWork& work : works) {
      make(work);
      give_back(work);
    }
    canonical();
    plan_.scratch_words = scratch_.high();
  }

 private:
  struct Value {
    bool floats = false, pairs = false;  // how it is read
    DeformPlace as_floats, as_pairs;
  };

  Value& value(int i) { return values_[static_cast<size_t>(i)]; }
  int width(int i) const { return branch_.values[static_cast<size_t>(i)].width; }
  bool is_static(int i) const { return i >= 0 && branch_.values[static_cast<size_t>(i)].rows; }
  int64_t& added(DeformTarget target) { return plan_.added[static_cast<int>(target)]; }

  // In bfloat16 products are of pairs, but for heads of few outputs.
  bool in_pairs(const DeformWork& work) const {
    const DeformKind kind = work.stage->kind;
    if (kind == DeformKind::kAdd) return bf16_ && (work.adds_to_sh() || work.outputs() > kMaxNarrow);
    return bf16_ && kind == DeformKind::kLinear;
  }

  void find_readers(const DeformWork& work) {
    const auto read = [&](int which, bool pairs) {
      if (which >= 0) (pairs ? value(which).pairs : value(which).floats) = true;
    };
    read(work.stage->in, in_pairs(work));
    read(work.stage->plus, bf16_ && is_static(work.stage->plus));
  }

  // What is added lives to the end: it lies before all else, where it leaves no gaps. Not so SH, which comes last.
  void place_added(const DeformWork& work) {
    if (work.heads.empty() || work.adds_to_sh()) return;
    int64_t at = scratch_.take(int64_t{work.n_added()} * kDeformBlock);
    for (const DeformStage* head : work.heads) {
      added(head->target) = at;
      at += int64_t{head->outputs} * kDeformBlock;
    }
  }

  void block_value(size_t i) {
    const DeformValue& rows = branch_.values[i];
    if (!rows.rows) return;
    if (values_[i].floats) values_[i].as_floats = blocked(rows.rows, rows.width, false);
    if (values_[i].pairs) values_[i].as_pairs = blocked(rows.rows, rows.width, true);
  }

  DeformPlace blocked(const float* rows, int width, bool pairs) {
    const int64_t words = block_words(width, pairs);
    Buffer<float>& to = plan_.memory_.emplace_back(static_cast<size_t>(words * plan_.blocks()));
    block_rows(rows, branch_.n, width, pairs, to.data());
    return {to.data(), words, -1};
  }

  DeformStep& step(DeformStepKind kind, int inputs, int outputs) {
    DeformStep& made = plan_.steps.emplace_back();
    made.kind = kind;
    made.inputs = inputs, made.outputs = outputs;
    return made;
  }

  // Where a stage writes its value.
  void place(const DeformWork& work) {
    const int out = work.stage->out;
    Value& v = value(out);
    if (v.floats) {
      if (work.over >= 0 && value(work.over).as_floats.at >= 0)
        v.as_floats.at = std::exchange(value(work.over).as_floats.at, -1);
      else
        v.as_floats.at = scratch_.take(block_words(width(out), false));
    }
    if (!v.pairs) return;
    v.as_pairs.at = scratch_.take(block_words(width(out), true));
    const int64_t written = (width(out) + 1) / 2, rows = pair_rows(width(out));
    if (rows > written)
      step(DeformStepKind::kZero, 0, static_cast<int>(rows - written)).y = v.as_pairs.at + written * kDeformBlock;
  }

  void give_back(const DeformWork& work) {
    for (const int dead : work.dead) {
      for (DeformPlace* place : {&value(dead).as_floats, &value(dead).as_pairs}) {
        if (place->at >= 0) scratch_.give_back(std::exchange(place->at, -1));
      }
    }
  }

  void make(const DeformWork& work) {
    const DeformStage& stage = *work.stage;
    if (work.adds_to_sh()) return add_sh(work);
    if (stage.kind == DeformKind::kAdd) return add(work);
    if (stage.kind == DeformKind::kAttention) return attend(work);
    if (stage.kind == DeformKind::kNorm) {
      const DeformPlace in = value(stage.in).as_floats;  // the output's, it may be
      place(work);
      DeformStep& norm = step(DeformStepKind::kNorm, stage.outputs, stage.outputs);
      norm.x = in;
      norm.weight = plan_.keep(stage.map.weight, stage.outputs);
      norm.bias = plan_.keep(stage.map.bias, stage.outputs);
      norm.epsilon = stage.epsilon;
      return finish(norm, stage);
    }
    const DeformPlus plus = plus_of(stage);
    if (!work.fused()) place(work);
    DeformStep& made = stage.in < 0 ? step(DeformStepKind::kPointwise, 0, stage.outputs) : product(work);
    made.plus = plus;
    bias(made, stage);
    if (!work.fused()) return finish(made, stage);
    made.activation = stage.activation, made.slope = stage.slope;
    const DeformStage& head = *work.fused();
    made.narrow = head.outputs;
    made.narrow_y = added(head.target);
    made.narrow_bias = plan_.keep(head.map.bias, head.outputs);
    float* to = plan_.memory_.emplace_back(static_cast<size_t>(head.outputs * stage.outputs)).data();
    made.narrow_weight = to;
    for (int k = 0; k < stage.outputs; ++k) {
      for (int o = 0; o < head.outputs; ++o) *to++ = head.map.weight[o * stage.outputs + k];
    }
  }

  // What a stage adds, where it lies before the stage's own value gets a place.
  DeformPlus plus_of(const DeformStage& stage) {
    if (stage.plus < 0) return {};
    const bool pairs = bf16_ && is_static(stage.plus);
    return {pairs ? value(stage.plus).as_pairs : value(stage.plus).as_floats, pairs};
  }

  // A layer's product, whose outputs are not yet placed.
  DeformStep& product(const DeformWork& work) {
    const DeformStage& stage = *work.stage;
    if (stage.gain < 0) return dense(work, stage.map.weight);
    DeformStep& made = dense(work, nullptr);
    made.frame_weight = frame(packed_words(plan_.packing_, stage.outputs, width(stage.in)));
    fill(stage).weight = made.frame_weight;
    return made;
  }

  void bias(DeformStep& made, const DeformStage& stage) {
    if (stage.frame < 0) {
      made.bias = plan_.keep(stage.map.bias, stage.outputs);
      return;
    }
    made.frame_bias = frame(stage.outputs);
    fill(stage).bias = made.frame_bias;
  }

  void finish(DeformStep& made, const DeformStage& stage) {
    made.activation = stage.activation, made.slope = stage.slope;
    made.y = value(stage.out).as_floats.at;
    made.y_pairs = value(stage.out).as_pairs.at;
  }

  void attend(const DeformWork& work) {
    const DeformStage& stage = *work.stage;
    const int d = stage.outputs, n_scores = stage.heads * static_cast<int>(stage.tokens.size());
    const int64_t score = scratch_.take(int64_t{n_scores} * kDeformBlock);
    const int64_t weight = frame(int64_t{n_scores} * d), score_bias = frame(n_scores),
                  mix = frame(int64_t{n_scores} * d);
    DeformPlan::Fill& folded = fill(stage);
    folded.weight = weight, folded.bias = score_bias, folded.mix = mix;
    folded.raw = frame(2 * int64_t{n_scores} * d);

    DeformStep& scores = step(DeformStepKind::kDense, d, n_scores);
    scores.x = value(stage.in).as_floats;
    scores.frame_weight = weight, scores.frame_bias = score_bias;
    scores.y = score;
    DeformStep& weights = step(DeformStepKind::kSoftmax, 0, n_scores);
    weights.heads = stage.heads;
    weights.y = score;

    const DeformPlus plus = plus_of(stage);
    place(work);
    DeformStep& read = step(DeformStepKind::kDense, n_scores, d);
    read.x.at = score;
    read.plus = plus;
    read.frame_weight = mix;
    read.bias = plan_.keep(stage.mix.bias, d);
    finish(read, stage);
    scratch_.give_back(score);
  }

  // Heads of one input as one matrix.
  void add(const DeformWork& work) {
    const JoinedHeads joined(work.heads, width(work.stage->in));
    DeformStep& made = dense(work, joined.weight.data());
    made.bias = plan_.keep(joined.bias.data(), work.outputs());
    made.y = added(work.stage->target);
  }

  // weight: [outputs,inputs]; nullptr: it is of the frame.
  DeformStep& dense(const DeformWork& work, const float* weight) {
    const int inputs = width(work.stage->in), outputs = work.outputs();
    DeformStep& made = step(DeformStepKind::kDense, inputs, outputs);
    made.bf16 = in_pairs(work);
    made.x = made.bf16 ? value(work.stage->in).as_pairs : value(work.stage->in).as_floats;
    if (!weight) return made;
    const DeformPacking packing = made.bf16 ? plan_.packing_ : DeformPacking::kFp32;
    float* to = plan_.memory_.emplace_back(static_cast<size_t>(packed_words(packing, outputs, inputs))).data();
    pack(packing, plan_.at_once_, outputs, inputs, weight, nullptr, to);
    made.weight = to;
    return made;
  }

  void add_sh(const DeformWork& work) {
    const DeformStage& stage = *work.stage;
    plan_.basis = scratch_.take(16 * kDeformBlock);
    plan_.color = scratch_.take(3 * kDeformBlock);
    added(DeformTarget::kSh) = scratch_.take(int64_t{stage.outputs} * kDeformBlock);
    step(DeformStepKind::kBasis, 0, 16).y = plan_.basis;
    DeformStep& made = dense(work, stage.map.weight);
    made.bias = plan_.keep(stage.map.bias, stage.outputs);
    made.y = added(DeformTarget::kSh);
    made.to_sh = true;
  }

  void canonical() {
    const auto take = [&](DeformTarget target, const float* rows, int columns) {
      if (rows && branch_.adds_to(target)) plan_.canonical[static_cast<int>(target)] = blocked(rows, columns, false);
    };
    take(DeformTarget::kLogScale, branch_.log_scale, 3);
    take(DeformTarget::kSoftplusScale, branch_.softplus_scale, 3);
    take(DeformTarget::kRotation, branch_.rotation, 4);
    take(DeformTarget::kLogit, branch_.logit, 1);
    if (at_rest_.sh_degree < 0) return;
    const int columns = static_cast<int>(color_stride(at_rest_));
    take(DeformTarget::kSh, at_rest_.color + plan_.first_row * columns, columns);
  }

  int64_t frame(int64_t floats) {
    const int64_t at = plan_.frame_floats;
    plan_.frame_floats += up_to(floats, 16);
    return at;
  }
  DeformPlan::Fill& fill(const DeformStage& stage) {
    for (DeformPlan::Fill& made : plan_.fills_) {
      if (made.stage == &stage) return made;
    }
    DeformPlan::Fill& made = plan_.fills_.emplace_back();
    made.stage = &stage;
    made.inputs = stage.in >= 0 ? width(stage.in) : 0;
    return made;
  }

  DeformPlan& plan_;
  const DeformBranch& branch_;
  const GaussianView& at_rest_;
  const bool bf16_;
  std::vector<Value> values_;
  DeformScratch scratch_;
};

DeformPlan::DeformPlan(const DeformProgram& program, const DeformBranch& of, const GaussianView& at_rest, int64_t first,
                       DeformPacking packing, int outputs_at_once)
    : branch(&of),
      first_row(first),
      sh_degree(at_rest.sh_degree),
      sh_stride(at_rest.sh_stride),
      program_(&program),
      packing_(packing),
      at_once_(outputs_at_once) {
  std::fill(std::begin(added), std::end(added), -1);
  DeformPlanner(*this, at_rest).run();
}

const float* DeformPlan::keep(const float* values, int64_t n) {
  if (!values) return nullptr;
  float* kept = memory_.emplace_back(static_cast<size_t>(n)).data();
  std::copy_n(values, n, kept);
  return kept;
}

void DeformPlan::fill(const float* condition, float* frame) const {
  const auto of = [&](int value) { return condition + program_->condition.values[static_cast<size_t>(value)].at; };
  for (const Fill& fill : fills_) {
    const DeformStage& stage = *fill.stage;
    if (stage.kind == DeformKind::kAttention) {
      const int d = stage.outputs, n_scores = stage.heads * static_cast<int>(stage.tokens.size());
      float *scores = frame + fill.raw, *mix = scores + int64_t{n_scores} * d;
      fold_attention(stage, program_->condition, condition, {scores, frame + fill.bias, mix});
      pack(DeformPacking::kFp32, at_once_, n_scores, d, scores, nullptr, frame + fill.weight);
      pack(DeformPacking::kFp32, at_once_, d, n_scores, mix, nullptr, frame + fill.mix);
      continue;
    }
    if (fill.weight >= 0)
      pack(packing_, at_once_, stage.outputs, fill.inputs, stage.map.weight, of(stage.gain), frame + fill.weight);
    if (fill.bias < 0) continue;
    const float* added_bias = of(stage.frame);
    for (int o = 0; o < stage.outputs; ++o)
      frame[fill.bias + o] = (stage.map.bias ? stage.map.bias[o] : 0.0f) + added_bias[o];
  }
}

uint64_t DeformPlan::bytes() const {
  uint64_t bytes = 0;
  for (const Buffer<float>& buffer : memory_) bytes += buffer.bytes();
  return bytes;
}

}  // namespace ts
