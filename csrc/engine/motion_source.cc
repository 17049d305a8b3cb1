// SPDX-License-Identifier: Apache-2.0
#include "engine/motion_source.h"

namespace ts {

Status MotionSource::push_sound(SampleFormat, const void*, int64_t) {
  return error(StatusCode::kInvalidArgument,
               "this source of motion takes features, not sound. Push what its encoder "
               "makes of the sound.");
}

Status MotionSource::push_features(const float*, int64_t) {
  return error(StatusCode::kInvalidArgument, "this source of motion takes sound, not features. Push the sound itself.");
}

}  // namespace ts
