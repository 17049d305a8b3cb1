/* SPDX-License-Identifier: Apache-2.0 */
/* What the C tests of sessions share: an avatar that speaks on an engine, sessions on the caller's clock, and frames
 * that are kept. */
#ifndef TALKSPLAT_TESTS_SESSION_C_H
#define TALKSPLAT_TESTS_SESSION_C_H

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

enum {
  RATE = 16000,
  N_SOUND = 24000,
  SPOKEN = 38,
  SIDE = 48,
  PIXELS = SIDE * SIDE * 4,
  MOST_SAMPLES = 4096,
  MS = 1000000
};

typedef struct stage {
  ts_engine* engine;
  ts_avatar* avatar;
  ts_voice* voice;
  uint32_t n_control;
  float sound[N_SOUND];
} stage;

/* A frame with its sound and its picture. */
typedef struct kept {
  ts_live_frame frame; /* its pointers are not used */
  float samples[MOST_SAMPLES];
  unsigned char pixels[PIXELS];
} kept;

static inline int open_stage(stage* on, const char* avatar, const char* voice) {
  ts_avatar_info info;
  int i;
  memset(on, 0, sizeof *on);
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  for (i = 0; i < N_SOUND; ++i)
    on->sound[i] = 0.3f * sinf(0.05f * (float)i) * sinf(0.0007f * (float)i) + 0.1f * (float)(i % 97 < 40);
  CHECK(ts_engine_create(NULL, &on->engine) == TS_OK);
  CHECK(ts_avatar_load(on->engine, avatar, &on->avatar) == TS_OK);
  CHECK(ts_voice_load(voice, &on->voice) == TS_OK);
  if (!on->avatar || !on->voice) return 0;
  CHECK(ts_avatar_get_info(on->avatar, &info) == TS_OK && info.speaks == 1);
  on->n_control = info.n_control;
  return 1;
}

static inline void close_stage(stage* on) {
  ts_voice_destroy(on->voice);
  ts_avatar_destroy(on->avatar);
  ts_engine_destroy(on->engine);
}

/* Small pictures on the caller's clock. */
static inline ts_session_params small_params(void) {
  ts_session_params params = ts_session_params_default();
  params.fps = 25;
  params.width = params.height = SIDE;
  params.clock = TS_CLOCK_CALLER;
  return params;
}

static inline ts_session* session_of(const stage* on, const ts_session_params* params) {
  ts_session* session = NULL;
  CHECK(ts_session_create(on->avatar, on->voice, params, &session, NULL) == TS_OK);
  return session;
}

static inline ts_status push(ts_session* session, const float* samples, int64_t n) {
  return ts_session_push_audio(session, TS_SAMPLE_F32, RATE, 1, samples, n);
}

static inline ts_session_stats stats_of(const ts_session* session) {
  ts_session_stats stats;
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  CHECK(ts_session_get_stats(session, &stats) == TS_OK);
  return stats;
}

static inline void keep(kept* into, const ts_live_frame* frame) {
  const size_t floats = (size_t)frame->n_samples * frame->channels;
  into->frame = *frame;
  CHECK(floats <= MOST_SAMPLES && frame->width == SIDE && frame->height == SIDE && frame->stride_bytes == 4 * SIDE);
  memcpy(into->samples, frame->samples, floats * sizeof(float));
  memcpy(into->pixels, frame->data, PIXELS);
}

/* What acquire says; a frame is kept and released. into: NULL: it is released at once. */
static inline ts_status take(ts_session* session, int64_t timeout_ns, kept* into) {
  ts_live_frame frame;
  ts_status status;
  memset(&frame, 0, sizeof frame);
  frame.struct_size = sizeof frame;
  status = ts_session_acquire(session, timeout_ns, &frame);
  if (status != TS_OK) return status;
  if (into) keep(into, &frame);
  CHECK(ts_session_release(session, &frame) == TS_OK);
  return TS_OK;
}

/* Steps to that time by 20 ms and takes what comes, at most `room` frames. Returns how many. */
static inline int run_to(const stage* on, ts_session* session, int from_ms, int to_ms, kept* frames, int room) {
  int n = 0, ms;
  for (ms = from_ms; ms <= to_ms; ms += 20) {
    CHECK(ts_engine_step(on->engine, (int64_t)ms * MS, NULL) == TS_OK);
    while (n < room && take(session, 0, frames ? frames + n : NULL) == TS_OK) ++n;
  }
  return n;
}

/* The same flags, sound and picture at the same time of the clock. */
static inline int same_frame(const kept* a, const kept* b) {
  const size_t bytes = (size_t)a->frame.n_samples * a->frame.channels * sizeof(float);
  return a->frame.flags == b->frame.flags && a->frame.index == b->frame.index &&
         a->frame.pts_samples == b->frame.pts_samples && a->frame.n_samples == b->frame.n_samples &&
         a->frame.rate_hz == b->frame.rate_hz && a->frame.channels == b->frame.channels &&
         a->frame.segment == b->frame.segment && a->frame.segment_sample == b->frame.segment_sample &&
         a->frame.times.deadline_ns == b->frame.times.deadline_ns && memcmp(a->samples, b->samples, bytes) == 0 &&
         memcmp(a->pixels, b->pixels, PIXELS) == 0;
}

#endif
