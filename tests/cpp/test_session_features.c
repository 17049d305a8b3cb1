/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions of an avatar that is moved by rows of features, its argument, whose sound comes before them. */
#include <math.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

enum { RATE = 16000, N_FRAMES = 5, PER_FRAME = RATE / 25, FLOATS = 8, MS = 1000000 };

static ts_engine* engine;
static ts_avatar* avatar;

static ts_session_params caller_params(void) {
  ts_session_params params = ts_session_params_default();
  params.clock = TS_CLOCK_CALLER;
  params.latency_ms = 1000;
  return params;
}

/* The rows' delay is part of the look-ahead, and of the latency that is accepted. */
static void test_promise(void) {
  ts_session_params params = caller_params();
  ts_session_stats stats;
  ts_session* session = NULL;
  double plain = -1, late = -1, refused = -1;
  CHECK(ts_session_create(avatar, NULL, &params, &session, &plain) == TS_OK);
  ts_session_destroy(session);
  params.feature_look_ahead_ms = 325.5;
  CHECK(ts_session_create(avatar, NULL, &params, &session, &late) == TS_OK);
  CHECK(fabs(late - plain - 325.5) < 1e-6);
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  CHECK(ts_session_get_stats(session, &stats) == TS_OK && stats.feature_floats == FLOATS);
  CHECK(fabs(stats.look_ahead_ms - (40 + 325.5)) < 1e-6); /* the window's last frame, and the rows' delay */
  ts_session_destroy(session);
  params.latency_ms = 100;
  CHECK_ERROR(ts_session_create(avatar, NULL, &params, &session, &refused), TS_LATENCY_REFUSED,
              "365.5 (look-ahead, 325.5 of it feature_look_ahead_ms)");
  CHECK(session == NULL && refused == late);
  params.feature_look_ahead_ms = 0;
  params.latency_ms = 50;
  CHECK_ERROR(ts_session_create(avatar, NULL, &params, &session, NULL), TS_LATENCY_REFUSED, "40.0 (look-ahead) +");
  params.struct_size = (uint32_t)offsetof(ts_session_params, feature_look_ahead_ms); /* of an older header */
  params.feature_look_ahead_ms = 1e9;
  params.latency_ms = plain;
  CHECK(ts_session_create(avatar, NULL, &params, &session, NULL) == TS_OK);
  ts_session_destroy(session);
}

static void test_refused(void) {
  const double wrong[] = {-1, 60001, NAN, INFINITY};
  ts_session_params params = caller_params();
  ts_session* session = NULL;
  int i;
  for (i = 0; i < 4; ++i) {
    params.feature_look_ahead_ms = wrong[i];
    CHECK_ERROR(ts_session_create(avatar, NULL, &params, &session, NULL), TS_INVALID_ARGUMENT,
                "feature_look_ahead_ms must be from 0 to 60000");
  }
  params = caller_params();
  params.feature_look_ahead_ms = 1;
  params.fps = 30; /* the avatar's features are of frames at 25 */
  CHECK_ERROR(ts_session_create(avatar, NULL, &params, &session, NULL), TS_INVALID_ARGUMENT, "fps must be 25");
}

/* The frames of an utterance wait for their rows, and have the sound that came before those. */
static void test_sound_first(void) {
  static float sound[N_FRAMES * PER_FRAME];
  float rows[N_FRAMES * FLOATS];
  ts_session_params params = caller_params();
  ts_session* session = NULL;
  int64_t n_said = 0;
  int i, ms, n = 0, ended = 0;
  for (i = 0; i < N_FRAMES * PER_FRAME; ++i) sound[i] = 0.25f * sinf(0.1f * (float)i);
  for (i = 0; i < N_FRAMES * FLOATS; ++i) rows[i] = 0.1f * (float)(i % 7);
  params.feature_look_ahead_ms = 300;
  params.latency_ms = 500;
  params.flush_after_ms = 0;
  CHECK(ts_session_create(avatar, NULL, &params, &session, NULL) == TS_OK);
  if (!session) return;
  CHECK(ts_engine_step(engine, 0, NULL) == TS_OK);
  CHECK(ts_session_push_audio(session, TS_SAMPLE_F32, RATE, 1, sound, N_FRAMES * PER_FRAME) == TS_OK);
  for (ms = 0; ms <= 1400 && !ended; ms += 20) {
    ts_live_frame frame;
    if (ms == 320) {
      CHECK(ts_session_push_features(session, rows, N_FRAMES) == TS_OK);
      CHECK(ts_session_flush(session) == TS_OK);
    }
    CHECK(ts_engine_step(engine, (int64_t)ms * MS, NULL) == TS_OK);
    memset(&frame, 0, sizeof frame);
    frame.struct_size = sizeof frame;
    if (ts_session_acquire(session, 0, &frame) != TS_OK) continue;
    CHECK((frame.flags & TS_LIVE_STARVED) == 0);
    if (frame.flags & TS_LIVE_SPEECH) {
      CHECK(frame.segment_sample == n_said && frame.n_samples == PER_FRAME);
      CHECK(memcmp(frame.samples, sound + n_said, PER_FRAME * sizeof(float)) == 0);
      n_said += frame.n_samples;
      ++n;
    }
    ended = (frame.flags & TS_LIVE_SEGMENT_END) != 0;
    CHECK(ts_session_release(session, &frame) == TS_OK);
  }
  CHECK(ended && n == N_FRAMES);
  ts_session_destroy(session);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  CHECK(ts_engine_create(NULL, &engine) == TS_OK);
  CHECK(ts_avatar_load(engine, argv[1], &avatar) == TS_OK);
  if (avatar) {
    test_promise();
    test_refused();
    test_sound_first();
  }
  ts_avatar_destroy(avatar);
  ts_engine_destroy(engine);
  return report("test_session_features");
}
