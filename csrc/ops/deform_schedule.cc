// SPDX-License-Identifier: Apache-2.0
#include "ops/deform_schedule.h"

#include <algorithm>

namespace ts {
namespace {

bool reads(const DeformStage& stage, int value) { return stage.in == value || stage.plus == value; }

// The stages of which something is added, in order.
std::vector<const DeformStage*> live_stages(const DeformBranch& branch) {
  std::vector<bool> read(branch.values.size(), false);
  std::vector<const DeformStage*> live;
  for (auto stage = branch.stages.rbegin(); stage != branch.stages.rend(); ++stage) {
    if (stage->kind != DeformKind::kAdd && !read[static_cast<size_t>(stage->out)]) continue;
    live.push_back(&*stage);
    for (const int value : {stage->in, stage->plus}) {
      if (value >= 0) read[static_cast<size_t>(value)] = true;
    }
  }
  std::reverse(live.begin(), live.end());
  return live;
}

// The head that a layer is fused with, or nullptr.
const DeformStage* head_of(const DeformStage& layer, const std::vector<const DeformStage*>& live) {
  if (layer.kind != DeformKind::kLinear || layer.in < 0) return nullptr;
  const DeformStage* head = nullptr;
  for (const DeformStage* stage : live) {
    if (!reads(*stage, layer.out)) continue;
    if (head) return nullptr;
    head = stage;
  }
  return head->kind == DeformKind::kAdd && head->target != DeformTarget::kSh ? head : nullptr;
}

// What may be written over: nothing that is multiplied, since every output reads all of it, other than by attention, whose
// scores are there before its output is.
int written_over(const DeformStage& stage) {
  if (stage.kind == DeformKind::kNorm) return stage.in;
  if (stage.kind == DeformKind::kLinear && stage.plus == stage.in) return -1;
  return stage.plus;
}

}  // namespace

int DeformWork::n_added() const {
  int sum = 0;
  for (const DeformStage* of : heads) sum += of->outputs;
  return sum;
}

std::vector<DeformWork> schedule(const DeformBranch& branch) {
  const std::vector<const DeformStage*> live = live_stages(branch);
  std::vector<const DeformStage*> done;
  std::vector<DeformWork> works, last;
  for (const DeformStage* stage : live) {
    if (std::find(done.begin(), done.end(), stage) != done.end()) continue;
    DeformWork work;
    work.stage = stage;
    if (stage->kind != DeformKind::kAdd) {
      if (const DeformStage* head = head_of(*stage, live)) work.heads = {head}, done.push_back(head);
    } else if (work.adds_to_sh()) {
      work.heads = {stage};
    } else {
      for (const DeformStage* other : live) {
        if (other->kind == DeformKind::kAdd && other->target != DeformTarget::kSh && other->in == stage->in)
          work.heads.push_back(other), done.push_back(other);
      }
    }
    (work.adds_to_sh() ? last : works).push_back(work);
  }
  works.insert(works.end(), last.begin(), last.end());

  std::vector<bool> dead(branch.values.size(), false);
  for (auto work = works.rbegin(); work != works.rend(); ++work) {
    for (const int value : {work->stage->in, work->stage->plus}) {
      if (value < 0 || dead[static_cast<size_t>(value)]) continue;
      dead[static_cast<size_t>(value)] = true;
      work->dead.push_back(value);
    }
    const int over = written_over(*work->stage);
    if (!work->fused() && std::find(work->dead.begin(), work->dead.end(), over) != work->dead.end()) work->over = over;
  }
  return works;
}

JoinedHeads::JoinedHeads(const std::vector<const DeformStage*>& heads, int inputs) {
  for (const DeformStage* head : heads) {
    weight.insert(weight.end(), head->map.weight, head->map.weight + int64_t{head->outputs} * inputs);
    for (int o = 0; o < head->outputs; ++o) bias.push_back(head->map.bias ? head->map.bias[o] : 0.0f);
  }
}

int64_t DeformScratch::take(int64_t words) {
  int64_t at = 0;
  auto next = taken_.begin();
  for (; next != taken_.end() && next->at - at < words; ++next) at = next->at + next->words;
  taken_.insert(next, {at, words});
  high_ = std::max(high_, at + words);
  return at;
}

void DeformScratch::give_back(int64_t at) {
  taken_.erase(std::find_if(taken_.begin(), taken_.end(), [&](const Span& span) { return span.at == at; }));
}

}  // namespace ts
