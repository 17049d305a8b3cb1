// SPDX-License-Identifier: Apache-2.0
// The order in which a branch's stages are computed, and for how long their values live.
#include <vector>

#include "../simt/sample_program.h"
#include "check.h"
#include "ops/deform_schedule.h"

using ts::Activation;
using ts::DeformKind;
using ts::DeformTarget;
using ts::DeformWork;
using ts_test::SampleProgram;

namespace {

using Values = std::vector<int>;

std::vector<DeformWork> schedule_of(SampleProgram& s) {
  s.finish(s.program.branches[0].adds_to(DeformTarget::kSh) ? 1 : -1);
  return ts::schedule(s.program.branches[0]);
}

void fuses_a_head_with_the_layer_that_it_alone_reads() {
  SampleProgram s;
  s.branch("all", 1);
  const int x = s.rows(8), hidden = s.linear(x, 8, Activation::kRelu), kept = s.linear(x, 8, Activation::kRelu);
  s.add(hidden, DeformTarget::kMean);
  s.add(kept, DeformTarget::kLogit);
  s.add(kept, DeformTarget::kColor);
  const std::vector<DeformWork> works = schedule_of(s);
  if (!CHECK(works.size() == 3)) return;
  CHECK(works[0].stage->out == hidden && works[0].fused() && works[0].fused()->target == DeformTarget::kMean);
  CHECK(works[0].outputs() == 8 && works[0].n_added() == 3 && works[0].dead.empty());
  CHECK(works[1].stage->out == kept && !works[1].fused() && works[1].dead == Values({x}));
  // Two heads read it: one matrix.
  CHECK(works[2].stage->kind == DeformKind::kAdd && works[2].heads.size() == 2 && works[2].outputs() == 4);
  CHECK(works[2].dead == Values({kept}));
  const ts::JoinedHeads joined(works[2].heads, 8);
  CHECK(joined.weight.size() == 4 * 8 && joined.bias.size() == 4);
  CHECK(joined.weight[8] == works[2].heads[1]->map.weight[0] && joined.bias[1] == works[2].heads[1]->map.bias[0]);
}

void leaves_out_what_nobody_reads() {
  SampleProgram s;
  s.branch("all", 1);
  const int x = s.rows(8);
  s.norm(s.linear(x, 8, Activation::kNone), Activation::kNone);
  s.add(x, DeformTarget::kMean);
  CHECK(schedule_of(s).size() == 1);
}

void adds_to_sh_last() {
  SampleProgram s;
  s.branch("all", 1);
  const int x = s.rows(8), h = s.linear(x, 8, Activation::kRelu);
  s.add(h, DeformTarget::kSh);
  s.add(h, DeformTarget::kLogit);
  s.add(x, DeformTarget::kMean);
  const std::vector<DeformWork> works = schedule_of(s);
  if (!CHECK(works.size() == 4)) return;
  CHECK(!works[0].fused() && works[0].dead.empty());
  CHECK(works[3].adds_to_sh() && works[3].outputs() == 12 && works[3].dead == Values({h}));
}

// A value is written over where it is read for the last time, and not while others of its numbers are still multiplied.
void writes_over_what_is_read_last() {
  SampleProgram s;
  const int token = s.input(8);
  s.branch("all", 1);
  const int x = s.rows(8), a = s.linear(x, 8, Activation::kRelu);
  SampleProgram::Extra plus;
  plus.plus = a;
  const int both = s.linear(a, 8, Activation::kRelu, plus);
  const int read = s.attention(both, {token}, 2, both), normed = s.norm(read, Activation::kNone);
  plus.plus = normed;
  const int sum = s.linear(x, 8, Activation::kNone, plus);
  s.add(sum, DeformTarget::kMean);
  s.add(sum, DeformTarget::kLogit);
  s.add(normed, DeformTarget::kColor);
  const std::vector<DeformWork> works = schedule_of(s);
  const int over[] = {-1, -1, both, read, -1, -1, -1};
  if (!CHECK(works.size() == 7)) return;
  for (size_t i = 0; i < works.size(); ++i) CHECK_MESSAGE(works[i].over == over[i], "work " + std::to_string(i));
}

void finds_places() {
  ts::DeformScratch scratch;
  const int64_t a = scratch.take(4), b = scratch.take(2), c = scratch.take(3);
  CHECK(a == 0 && b == 4 && c == 6 && scratch.high() == 9);
  scratch.give_back(b);
  CHECK(scratch.take(3) == 9 && scratch.take(2) == 4 && scratch.high() == 12);
  scratch.give_back(a);
  CHECK(scratch.take(1) == 0 && scratch.take(3) == 1);
}

}  // namespace

int main() {
  fuses_a_head_with_the_layer_that_it_alone_reads();
  leaves_out_what_nobody_reads();
  adds_to_sh_last();
  writes_over_what_is_read_last();
  finds_places();
  return ts_test::report("test_deform_schedule");
}
