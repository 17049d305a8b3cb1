// SPDX-License-Identifier: Apache-2.0
#include "cpu/deform_plan.h"

#include <algorithm>
#include <utility>

#include "math/bf16.h"

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

// Places in scratch memory for what lives from one step to another: first fit.
class Scratch {
 public:
  int64_t take(int64_t words) {
    int64_t at = 0;
    auto next = taken_.begin();
    for (; next != taken_.end() && next->at - at < words; ++next) at = next->at + next->words;
    taken_.insert(next, {at, words});
    high_ = std::max(high_, at + words);
    return at;
  }
  void give_back(int64_t at) {
    taken_.erase(std::find_if(taken_.begin(), taken_.end(), [&](const Span& span) { return span.at == at; }));
  }
  int64_t high() const { return high_; }

 private:
  struct Span {
    int64_t at, words;
  };
  std::vector<Span> taken_;  // in order
  int64_t high_ = 0;
};

}  // namespace

// Lays the stages of a branch out as steps.
class DeformPlanner {
 public:
  DeformPlanner(DeformPlan& plan, const GaussianView& at_rest)
      : plan_(plan),
        branch_(*plan.branch),
        at_rest_(at_rest),
        bf16_(plan.packing_ != DeformPacking::kFp32),
        values_(branch_.values.size()),
        fused_(branch_.stages.size(), nullptr),
        done_(branch_.stages.size(), false) {}

  void run() {
    if (plan_.packing_ == DeformPacking::kSquares) plan_.squares = scratch_.take(2 * 16 * kDeformBlock);
    for (const DeformStage& stage : branch_.stages) {
      if (stage.kind == DeformKind::kAdd && stage.target != DeformTarget::kSh)
        added(stage.target) = scratch_.take(int64_t{stage.outputs} * kDeformBlock);
    }
    fuse();
    count_readers();
    for (size_t v = 0; v < values_.size(); ++v) block_value(v);
    for (size_t i = 0; i < branch_.stages.size(); ++i) {
      const DeformStage& stage = branch_.stages[i];
      if (stage.kind == DeformKind::kAdd) {
        if (!done_[i] && stage.target != DeformTarget::kSh) add(i);
      } else if (value(stage.out).readers > 0) {
        make(i);
      }
      give_back(i);
    }
    // Last, since it looks from the eye to the deformed mean.
    for (const DeformStage& stage : branch_.stages) {
      if (stage.kind == DeformKind::kAdd && stage.target == DeformTarget::kSh) add_sh(stage);
    }
    canonical();
    plan_.scratch_words = scratch_.high();
  }

 private:
  struct Value {
    int readers = 0;
    size_t last_reader = 0;              // stage
    bool floats = false, pairs = false;  // how it is read
    DeformPlace as_floats, as_pairs;
  };

  Value& value(int i) { return values_[static_cast<size_t>(i)]; }
  int width(int i) const { return branch_.values[static_cast<size_t>(i)].width; }
  bool is_static(int i) const { return i >= 0 && branch_.values[static_cast<size_t>(i)].rows; }
  int64_t& added(DeformTarget target) { return plan_.added[static_cast<int>(target)]; }

  // A layer with one reader, a narrow head, is computed in that head's step.
  void fuse() {
    for (size_t i = 0; i < branch_.stages.size(); ++i) {
      const DeformStage& layer = branch_.stages[i];
      if (layer.kind != DeformKind::kLinear || layer.in < 0) continue;
      int readers = 0;
      size_t head = 0;
      for (size_t k = i + 1; k < branch_.stages.size(); ++k) {
        const DeformStage& stage = branch_.stages[k];
        if (stage.in == layer.out || stage.plus == layer.out) ++readers, head = k;
      }
      const DeformStage& stage = branch_.stages[head];
      if (readers != 1 || stage.kind != DeformKind::kAdd || stage.target == DeformTarget::kSh) continue;
      fused_[i] = &stage;
      done_[head] = true;
    }
  }

  void count_readers() {
    for (size_t i = 0; i < branch_.stages.size(); ++i) {
      const DeformStage& stage = branch_.stages[i];
      const bool product = stage.kind == DeformKind::kLinear || stage.kind == DeformKind::kAdd;
      // SH is added after all other stages.
      const bool last = stage.kind == DeformKind::kAdd && stage.target == DeformTarget::kSh;
      const auto read = [&](int which, bool pairs) {
        if (which < 0) return;
        Value& v = value(which);
        ++v.readers;
        v.last_reader = std::max(v.last_reader, last ? branch_.stages.size() : i);
        if (!done_[i]) (pairs ? v.pairs : v.floats) = true;  // else in registers
      };
      read(stage.in, bf16_ && product && !is_narrow(stage));
      read(stage.plus, bf16_ && is_static(stage.plus));
    }
  }

  // Heads of one input that were not fused are one matrix, and in bfloat16 only if they are many.
  bool is_narrow(const DeformStage& head) const {
    if (head.kind != DeformKind::kAdd || head.target == DeformTarget::kSh) return false;
    int outputs = 0;
    for (size_t i = 0; i < branch_.stages.size(); ++i) {
      if (joins(i, head)) outputs += branch_.stages[i].outputs;
    }
    return outputs <= kMaxNarrow;
  }
  bool joins(size_t i, const DeformStage& head) const {
    const DeformStage& stage = branch_.stages[i];
    return stage.kind == DeformKind::kAdd && stage.target != DeformTarget::kSh && stage.in == head.in;
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

  // Where a stage writes its value. `over`: what it may write over if nobody reads that later; -1: nothing.
  void place(size_t i, int out, int over) {
    Value& v = value(out);
    if (v.floats) {
      if (over >= 0 && value(over).as_floats.at >= 0 && value(over).last_reader == i && width(over) == width(out))
        v.as_floats.at = std::exchange(value(over).as_floats.at, -1);
      else
        v.as_floats.at = scratch_.take(block_words(width(out), false));
    }
    if (!v.pairs) return;
    v.as_pairs.at = scratch_.take(block_words(width(out), true));
    const int64_t written = (width(out) + 1) / 2, rows = pair_rows(width(out));
    if (rows > written)
      step(DeformStepKind::kZero, 0, static_cast<int>(rows - written)).y = v.as_pairs.at + written * kDeformBlock;
  }

  void give_back(size_t i) {
    for (Value& v : values_) {
      if (v.readers == 0 || v.last_reader != i) continue;
      for (DeformPlace* place : {&v.as_floats, &v.as_pairs}) {
        if (place->at >= 0) scratch_.give_back(std::exchange(place->at, -1));
      }
    }
  }

  void make(size_t i) {
    const DeformStage& stage = branch_.stages[i];
    if (stage.kind == DeformKind::kAttention) return attend(i);
    if (stage.kind == DeformKind::kNorm) {
      place(i, stage.out, stage.in);
      // The input's place may be the output's by now.
      const int64_t in =
          value(stage.in).as_floats.at >= 0 ? value(stage.in).as_floats.at : value(stage.out).as_floats.at;
      DeformStep& norm = step(DeformStepKind::kNorm, stage.outputs, stage.outputs);
      norm.x = value(stage.in).as_floats;
      if (!norm.x.rows) norm.x.at = in;
      norm.weight = plan_.keep(stage.map.weight, stage.outputs);
      norm.bias = plan_.keep(stage.map.bias, stage.outputs);
      norm.epsilon = stage.epsilon;
      return finish(norm, stage);
    }
    const DeformPlus plus = plus_of(stage);
    const DeformStage* head = fused_[i];
    // Every output reads all of the input: what is both is not written over.
    if (!head) place(i, stage.out, stage.plus == stage.in ? -1 : stage.plus);
    DeformStep& made = stage.in < 0 ? step(DeformStepKind::kPointwise, 0, stage.outputs) : product(stage);
    made.plus = plus;
    bias(made, stage);
    if (!head) return finish(made, stage);
    made.activation = stage.activation, made.slope = stage.slope;
    made.narrow = head->outputs;
    made.narrow_y = added(head->target);
    made.narrow_bias = plan_.keep(head->map.bias, head->outputs);
    float* to = plan_.memory_.emplace_back(static_cast<size_t>(head->outputs * stage.outputs)).data();
    made.narrow_weight = to;
    for (int k = 0; k < stage.outputs; ++k) {
      for (int o = 0; o < head->outputs; ++o) *to++ = head->map.weight[o * stage.outputs + k];
    }
  }

  // What a stage adds, where it lies before the stage's own value gets a place.
  DeformPlus plus_of(const DeformStage& stage) {
    if (stage.plus < 0) return {};
    const bool pairs = bf16_ && is_static(stage.plus);
    return {pairs ? value(stage.plus).as_pairs : value(stage.plus).as_floats, pairs};
  }

  // A matrix product whose outputs are not yet placed.
  DeformStep& product(const DeformStage& stage) {
    const int inputs = width(stage.in);
    if (stage.gain < 0) return dense(stage.map.weight, inputs, stage.outputs, bf16_, stage.in);
    DeformStep& made = dense(nullptr, inputs, stage.outputs, bf16_, stage.in);
    made.frame_weight = frame(packed_words(plan_.packing_, stage.outputs, inputs));
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

  void attend(size_t i) {
    const DeformStage& stage = branch_.stages[i];
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
    place(i, stage.out, stage.plus);
    DeformStep& read = step(DeformStepKind::kDense, n_scores, d);
    read.x.at = score;
    read.plus = plus;
    read.frame_weight = mix;
    read.bias = plan_.keep(stage.mix.bias, d);
    finish(read, stage);
    scratch_.give_back(score);
  }

  // All heads of the input of stage i as one matrix.
  void add(size_t i) {
    const DeformStage& first = branch_.stages[i];
    std::vector<const DeformStage*> heads;
    int outputs = 0;
    const bool narrow = is_narrow(first);
    for (size_t k = i; k < branch_.stages.size(); ++k) {
      if (done_[k] || !joins(k, first)) continue;
      heads.push_back(&branch_.stages[k]);
      outputs += branch_.stages[k].outputs;
      done_[k] = true;
    }
    const int inputs = width(first.in);
    std::vector<float> weight, biases;
    // One place for what all of them add.
    for (const DeformStage* head : heads) scratch_.give_back(added(head->target));
    int64_t at = scratch_.take(int64_t{outputs} * kDeformBlock);
    const int64_t y = at;
    for (const DeformStage* head : heads) {
      weight.insert(weight.end(), head->map.weight, head->map.weight + int64_t{head->outputs} * inputs);
      for (int o = 0; o < head->outputs; ++o) biases.push_back(head->map.bias ? head->map.bias[o] : 0.0f);
      added(head->target) = at;
      at += int64_t{head->outputs} * kDeformBlock;
    }
    DeformStep& made = dense(weight.data(), inputs, outputs, bf16_ && !narrow, first.in);
    made.bias = plan_.keep(biases.data(), outputs);
    made.y = y;
  }

  // weight: [outputs,inputs]; nullptr: it is of the frame.
  DeformStep& dense(const float* weight, int inputs, int outputs, bool bf16, int in) {
    DeformStep& made = step(DeformStepKind::kDense, inputs, outputs);
    made.bf16 = bf16;
    made.x = bf16 ? value(in).as_pairs : value(in).as_floats;
    if (!weight) return made;
    const DeformPacking packing = bf16 ? plan_.packing_ : DeformPacking::kFp32;
    float* to = plan_.memory_.emplace_back(static_cast<size_t>(packed_words(packing, outputs, inputs))).data();
    pack(packing, plan_.at_once_, outputs, inputs, weight, nullptr, to);
    made.weight = to;
    return made;
  }

  void add_sh(const DeformStage& stage) {
    plan_.basis = scratch_.take(16 * kDeformBlock);
    plan_.color = scratch_.take(3 * kDeformBlock);
    added(DeformTarget::kSh) = scratch_.take(int64_t{stage.outputs} * kDeformBlock);
    step(DeformStepKind::kBasis, 0, 16).y = plan_.basis;
    DeformStep& made = dense(stage.map.weight, width(stage.in), stage.outputs, bf16_, stage.in);
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
  std::vector<const DeformStage*> fused_;  // by layer: its head
  std::vector<bool> done_;                 // heads that are in another's step
  Scratch scratch_;
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
