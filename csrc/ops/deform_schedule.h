// SPDX-License-Identifier: Apache-2.0
// In which order a branch's stages are computed, which of them at once, and how long what they write must live: what all
// backends lay out in the same way, whatever their matrices and memory look like.
//
// Left out   stages whose value nobody reads
// Fused      a layer that is read by one narrow head alone is never stored: the head is applied to it as it is computed
// Joined     heads of one input that are not fused are one matrix
// Last       what is added to SH, since its colour is seen from the eye to the deformed mean
#pragma once
#include <cstdint>
#include <vector>

#include "ops/deform.h"

namespace ts {

// A stage, or several at once.
struct DeformWork {
  const DeformStage* stage = nullptr;     // kAdd: the first of `heads`
  std::vector<const DeformStage*> heads;  // kAdd: joined, side by side. kLinear: the one that is fused with it, or none
  // The value in whose place the stage's own may be written, read here for the last time and number by number; -1: none.
  int over = -1;
  std::vector<int> dead;  // values that nobody reads afterwards, static ones among them

  // What its heads add, and what its matrix has.
  int n_added() const;
  int outputs() const { return stage->kind == DeformKind::kAdd ? n_added() : stage->outputs; }
  const DeformStage* fused() const { return stage->kind == DeformKind::kAdd || heads.empty() ? nullptr : heads[0]; }
  bool adds_to_sh() const { return stage->kind == DeformKind::kAdd && stage->target == DeformTarget::kSh; }
};

std::vector<DeformWork> schedule(const DeformBranch& branch);

// Heads as one map of `inputs` numbers.
struct JoinedHeads {
  std::vector<float> weight;  // [outputs,inputs]
  std::vector<float> bias;    // [outputs]
  JoinedHeads(const std::vector<const DeformStage*>& heads, int inputs);
};

// Places in scratch memory for what lives from one step to another: first fit.
class DeformScratch {
 public:
  int64_t take(int64_t words);
  void give_back(int64_t at);
  int64_t high() const { return high_; }  // words that were ever taken at once

 private:
  struct Span {
    int64_t at, words;
  };
  std::vector<Span> taken_;  // in order
  int64_t high_ = 0;
};

}  // namespace ts
