// SPDX-License-Identifier: Apache-2.0
// drive — see drive.h.
#include "ops/drive.h"

namespace ts {

Drive::Drive(const DriveParams& params, bool with_life)
    : params_(params),
      with_life_(with_life),
      lips_(params),
      life_(params.seed, static_cast<double>(params.head), static_cast<double>(params.blink), params.manner) {}

void Drive::reset() { *this = Drive(params_, with_life_); }

bool Drive::pop(Face* face, int64_t* step, float* share) {
  if (!lips_.pop(face, step, share)) return false;
  if (!with_life_) return true;
  for (; lived_ < lips_.taken(); ++lived_) {
    const Gate& gate = lips_.gate(lived_);
    life_.step(gate.open, gate.jaw, gate.phrase_ends);
  }
  // In full precision, as lips have it; `share` is rounded.
  const double at = static_cast<double>(frame_) * kStepHz / params_.fps;
  life_.at(static_cast<double>(frame_++) / params_.fps, at - static_cast<double>(*step), face);
  return true;
}

}  // namespace ts
