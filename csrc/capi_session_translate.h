// SPDX-License-Identifier: Apache-2.0
// The structs of sessions as the engine's own types, and back. Numbers that C lets through are checked here; the
// messages name the function that was called.
#pragma once
#include "core/status.h"
#include "engine/avatar_file.h"
#include "ops/image.h"
#include "ops/presence.h"
#include "session/session.h"
#include "talksplat.h"

namespace ts::capi {

// params.background points to `background` where the caller gave one.
Status to_session_params(const ts_session_params& given, const AvatarFile& file, SessionParams& params,
                         Background& background);
// Of what is pushed.
Status check_sound(const char* function, uint32_t rate_hz, uint32_t channels);
Status to_presence(const ts_presence& given, Presence& presence);
ts_live_frame to_c(const LiveFrame& frame);
ts_session_stats to_c(const SessionStats& stats);

}  // namespace ts::capi
