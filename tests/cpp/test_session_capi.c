/* SPDX-License-Identifier: Apache-2.0 */
/* A C program and sessions on its own clock. Its arguments are an avatar that speaks and a voice. */
#include "session_c.h"

enum { MOST = 80, END_MS = 2200 };

static kept whole[MOST], other[MOST];
static int n_whole;

/* An utterance that is pushed at once: its frames, in their order, then the face lives on. */
static void test_whole(const stage* on) {
  const ts_session_params params = small_params();
  ts_session* session = session_of(on, &params);
  int i, changes = 0;
  int64_t n = 0;
  CHECK(push(session, on->sound, N_SOUND) == TS_OK);
  CHECK(stats_of(session).queued_ms == 1500);
  CHECK(ts_session_flush(session) == TS_OK);
  CHECK(ts_engine_step(on->engine, 179 * MS, &n) == TS_OK && n == 0);
  CHECK(take(session, 1000 * (int64_t)MS, NULL) == TS_TIMEOUT); /* at once: it would wait for itself */
  CHECK(ts_engine_step(on->engine, 180 * MS, &n) == TS_OK && n == 1);
  n_whole = run_to(on, session, 180, END_MS, whole, MOST);
  CHECK(n_whole == 51);
  for (i = 0; i < n_whole; ++i) {
    const ts_live_frame* frame = &whole[i].frame;
    const float* samples = whole[i].samples;
    const int spoken = i < SPOKEN;
    const int64_t first = frame->pts_samples;
    CHECK(frame->index == i && first == ts_first_sample(i, RATE, 25) && frame->n_samples == RATE / 25);
    CHECK(frame->rate_hz == RATE && frame->channels == 1 && frame->format == TS_FORMAT_RGBA8);
    CHECK(frame->flags == (spoken ? TS_LIVE_SPEECH | (i == SPOKEN - 1 ? TS_LIVE_SEGMENT_END : 0) : TS_LIVE_IDLE));
    CHECK(frame->segment == (spoken ? 0 : -1) && frame->segment_sample == (spoken ? first : -1));
    CHECK(frame->times.deadline_ns == (180 + 40 * (int64_t)i) * MS && frame->times.ready_ns >= frame->times.begun_ns);
    CHECK(frame->receipt.struct_size == sizeof(ts_receipt) && frame->receipt.n_gaussians > 0);
    if (first + frame->n_samples <= N_SOUND) {
      CHECK(memcmp(samples, on->sound + first, (size_t)frame->n_samples * sizeof(float)) == 0);
    } else {
      CHECK(samples[frame->n_samples - 1] == 0);
    }
    changes += i > 0 && memcmp(whole[i].pixels, whole[i - 1].pixels, PIXELS) != 0;
  }
  CHECK(changes > SPOKEN / 2);
  ts_session_destroy(session);
}

/* How sound is cut into pushes, and when they come, changes nothing. The clock of an engine's callers begins with its
 * first session, so this is another's. */
static void test_chunks(const char* avatar, const char* voice) {
  static const int pieces[] = {1, 7, 1, 333, 1601, 2, 64, 5000, 1, 919};
  const ts_session_params params = small_params();
  stage on;
  ts_session *pieced, *live;
  int64_t at = 0, heard = 0;
  int i, n = 0, ms;
  if (!open_stage(&on, avatar, voice)) return;
  pieced = session_of(&on, &params);
  for (i = 0; at < N_SOUND; ++i) {
    const int64_t left = N_SOUND - at, piece = pieces[i % 10] < left ? pieces[i % 10] : left;
    CHECK(push(pieced, on.sound + at, piece) == TS_OK);
    at += piece;
  }
  CHECK(push(pieced, NULL, 0) == TS_OK && ts_session_flush(pieced) == TS_OK);
  CHECK(ts_session_flush(pieced) == TS_OK); /* of nothing */
  live = session_of(&on, &params);
  for (ms = 0; ms <= END_MS; ms += 20) { /* as it is spoken, 20 ms after 20 ms */
    for (; heard < N_SOUND && heard <= (int64_t)ms * RATE / 1000; heard += 320) {
      if (ms > 0) CHECK(ts_engine_step(on.engine, (int64_t)ms * MS, NULL) == TS_OK); /* it is now */
      CHECK(push(live, on.sound + heard, 320) == TS_OK);
    }
    if (heard == N_SOUND) CHECK(ts_session_flush(live) == TS_OK);
    CHECK(ts_engine_step(on.engine, (int64_t)ms * MS, NULL) == TS_OK);
    while (n < MOST && take(live, 0, other + n) == TS_OK) {
      CHECK(n >= n_whole || same_frame(other + n, whole + n));
      CHECK(take(pieced, 0, other + n) == TS_OK);
      CHECK(n >= n_whole || same_frame(other + n, whole + n));
      ++n;
    }
  }
  CHECK(n == n_whole);
  CHECK(stats_of(live).starved == 0 && stats_of(live).frames == (uint64_t)n && stats_of(live).sessions == 2);
  CHECK(stats_of(live).speech == SPOKEN && stats_of(live).idle == (uint64_t)n - SPOKEN);
  ts_session_destroy(pieced);
  ts_session_destroy(live);
  close_stage(&on);
}

/* The first utterance is what ts_speech says, frame for frame. */
static void test_offline(const stage* on) {
  static float control[SPOKEN][512];
  static unsigned char pixels[PIXELS];
  ts_frame_params frame_params = ts_frame_params_default();
  ts_render_params params = ts_render_params_default();
  ts_speech* speech = NULL;
  ts_frame* frame = NULL;
  ts_image image;
  int64_t n = 0;
  int i;
  CHECK(ts_speech_create(on->engine, on->voice, NULL, &speech) == TS_OK);
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, on->sound, N_SOUND) == TS_OK && ts_speech_finish(speech) == TS_OK);
  CHECK(ts_speech_read_control(speech, on->avatar, &control[0][0], SPOKEN, &n) == TS_OK && n == SPOKEN);
  frame_params.width = frame_params.height = SIDE;
  CHECK(ts_frame_create(on->avatar, &frame_params, &frame) == TS_OK);
  memset(&image, 0, sizeof image);
  image.struct_size = sizeof image;
  image.format = TS_FORMAT_RGBA8;
  image.width = image.height = SIDE;
  image.data = pixels;
  for (i = 0; i < SPOKEN; ++i) {
    params.control = &control[0][0] + (size_t)i * on->n_control;
    CHECK(ts_frame_render(frame, &params, &image, NULL) == TS_OK);
    CHECK(memcmp(pixels, whole[i].pixels, PIXELS) == 0);
  }
  ts_frame_destroy(frame);
  ts_speech_destroy(speech);
}

/* Barge-in: what was heard is told, the sound fades, and another utterance begins. */
static void test_interrupt(const char* avatar, const char* voice) {
  const ts_session_params params = small_params();
  stage on;
  ts_session* session;
  int64_t position = 7;
  int n, i;
  float loudest = 0;
  if (!open_stage(&on, avatar, voice)) return;
  session = session_of(&on, &params);
  CHECK(ts_session_interrupt(session, 80, &position) == TS_OK && position == -1); /* nobody speaks */
  CHECK(push(session, on.sound, N_SOUND) == TS_OK);
  n = run_to(&on, session, 0, 500, other, MOST);
  CHECK(n == 9);
  CHECK(ts_session_interrupt(session, 80, &position) == TS_OK && position == 9 * RATE / 25);
  CHECK(stats_of(session).queued_ms == 0);
  n = run_to(&on, session, 500, 800, other, MOST);
  CHECK(n == 7);
  for (i = 0; i < 2; ++i) { /* 80 ms */
    const kept* frame = other + i;
    int64_t s;
    CHECK((frame->frame.flags & TS_LIVE_FADING) && !(frame->frame.flags & TS_LIVE_SPEECH));
    for (s = 0; s < frame->frame.n_samples; ++s) {
      const float full = on.sound[position + i * (RATE / 25) + s];
      CHECK(fabsf(frame->samples[s]) <= fabsf(full) * (1 - 0.49f * (float)i) + 1e-6f);
      loudest = fmaxf(loudest, fabsf(frame->samples[s]));
    }
  }
  CHECK(loudest > 0.05f);
  for (i = 3; i < n; ++i) {
    CHECK(other[i].frame.flags == TS_LIVE_IDLE && other[i].frame.segment == -1);
    CHECK(other[i].samples[0] == 0 && other[i].samples[RATE / 25 - 1] == 0);
  }
  CHECK(push(session, on.sound, N_SOUND) == TS_OK);
  n = run_to(&on, session, 800, 1100, other, MOST);
  for (i = 0; i < n && other[i].frame.segment < 0; ++i) continue;
  CHECK(i < n && other[i].frame.segment == 1 && other[i].frame.segment_sample == 0);
  CHECK(ts_session_interrupt(session, 0, NULL) == TS_OK);
  ts_session_destroy(session);
  close_stage(&on);
}

/* A push that does not fit is refused as a whole. */
static void test_queue(const char* avatar, const char* voice) {
  ts_session_params params = small_params();
  static const float stereo[2 * 800];
  stage on;
  ts_session* session;
  int i;
  if (!open_stage(&on, avatar, voice)) return;
  params.queue_ms = 1000;
  session = session_of(&on, &params);
  CHECK_ERROR(push(session, on.sound, N_SOUND), TS_QUEUE_FULL, "queue_ms");
  CHECK(stats_of(session).queued_ms == 0);
  CHECK(push(session, on.sound, 14400) == TS_OK);
  CHECK_ERROR(push(session, on.sound, 14400), TS_QUEUE_FULL, "push_audio");
  CHECK(stats_of(session).queued_ms == 900);
  CHECK_ERROR(ts_session_push_audio(session, TS_SAMPLE_F32, 44100, 2, stereo, 800), TS_INVALID_ARGUMENT, "Flush");
  CHECK(ts_session_flush(session) == TS_OK);
  CHECK(ts_session_push_audio(session, TS_SAMPLE_F32, 44100, 2, stereo, 800) == TS_OK); /* another may have others */
  CHECK(run_to(&on, session, 0, 1180, other, MOST) == 26);
  CHECK(other[22].frame.rate_hz == RATE && other[22].frame.flags == (TS_LIVE_SPEECH | TS_LIVE_SEGMENT_END));
  CHECK(other[23].frame.rate_hz == 44100 && other[23].frame.channels == 2 && other[23].frame.segment == 1);
  CHECK(other[23].frame.pts_samples == ts_first_sample(23, 44100, 25) && other[23].frame.n_samples == 1764);
  CHECK(ts_session_flush(session) == TS_OK);
  CHECK(push(session, on.sound, 14400) == TS_OK); /* there is room again */
  CHECK(ts_session_interrupt(session, 0, NULL) == TS_OK);
  for (i = 0; i < TS_MAX_UTTERANCES; ++i)
    CHECK(push(session, on.sound, 10) == TS_OK && ts_session_flush(session) == TS_OK);
  CHECK_ERROR(push(session, on.sound, 10), TS_QUEUE_FULL, "64 utterances");
  ts_session_destroy(session);
  close_stage(&on);
}

/* Without sound the mouth waits, and nothing of the utterance is lost. */
static void test_starved(const char* avatar, const char* voice) {
  ts_session_params params = small_params();
  stage on;
  ts_session* session;
  int i, n, starved = 0;
  int64_t said = 0;
  if (!open_stage(&on, avatar, voice)) return;
  session = session_of(&on, &params);
  CHECK(push(session, on.sound, 8000) == TS_OK);
  n = run_to(&on, session, 0, 800, other, MOST);
  CHECK(push(session, on.sound + 8000, 8000) == TS_OK && ts_session_flush(session) == TS_OK);
  n += run_to(&on, session, 820, 1600, other + n, MOST - n);
  for (i = 0; i < n && other[i].frame.segment == 0; ++i) {
    const kept* frame = other + i;
    if (frame->frame.flags & TS_LIVE_STARVED) {
      ++starved;
      CHECK(frame->samples[0] == 0 && frame->frame.segment_sample == said);
      continue;
    }
    CHECK(frame->frame.segment_sample == said);
    CHECK(memcmp(frame->samples, on.sound + said, (size_t)frame->frame.n_samples * sizeof(float)) == 0);
    said += frame->frame.n_samples;
  }
  CHECK(said == 16000 && starved >= 4 && starved <= 8 && stats_of(session).starved == (uint64_t)starved);
  ts_session_destroy(session);

  params.flush_after_ms = 200; /* whoever forgets to flush */
  session = session_of(&on, &params);
  CHECK(push(session, on.sound, 8000) == TS_OK);
  n = run_to(&on, session, 1600, 3200, other, MOST);
  CHECK(other[n - 1].frame.flags == TS_LIVE_IDLE && stats_of(session).queued_ms == 0);
  ts_session_destroy(session);
  close_stage(&on);
}

/* What was pushed is said, then it is over. */
static void test_close(const char* avatar, const char* voice) {
  const ts_session_params params = small_params();
  stage on;
  ts_session* session;
  int n;
  if (!open_stage(&on, avatar, voice)) return;
  session = session_of(&on, &params);
  CHECK(push(session, on.sound, N_SOUND) == TS_OK && ts_session_close(session) == TS_OK);
  CHECK_ERROR(push(session, on.sound, 1), TS_CLOSED, "closed");
  CHECK_ERROR(ts_session_flush(session), TS_CLOSED, "closed");
  n = run_to(&on, session, 0, END_MS, other, MOST);
  CHECK(n == SPOKEN && (other[n - 1].frame.flags & TS_LIVE_SEGMENT_END));
  CHECK_ERROR(take(session, -1, NULL), TS_CLOSED, "its last frame taken");
  CHECK(ts_session_close(session) == TS_OK && stats_of(session).frames == SPOKEN);
  ts_session_destroy(session);

  session = session_of(&on, &params);
  CHECK(ts_session_close(session) == TS_OK && take(session, 0, NULL) == TS_CLOSED);
  ts_session_destroy(session);

  session = session_of(&on, &params);
  CHECK(push(session, on.sound, N_SOUND) == TS_OK);
  CHECK(run_to(&on, session, END_MS, END_MS + 300, other, 2) == 2);
  CHECK(ts_session_abort(session) == TS_OK && ts_session_abort(session) == TS_OK);
  CHECK(take(session, -1, NULL) == TS_CLOSED && push(session, on.sound, 1) == TS_CLOSED);
  CHECK(run_to(&on, session, END_MS + 400, END_MS + 600, other, 1) == 0 && stats_of(session).fps == 25);
  ts_session_destroy(session);
  close_stage(&on);
}

/* Frames are lent until they are given back, once. */
static void test_slots(const char* avatar, const char* voice) {
  ts_session_params params = small_params();
  ts_live_frame lent[3], strange;
  stage on;
  ts_session* session;
  int64_t n = 0;
  int i;
  if (!open_stage(&on, avatar, voice)) return;
  params.slots = 3;
  session = session_of(&on, &params);
  CHECK(push(session, on.sound, N_SOUND) == TS_OK);
  CHECK(ts_engine_step(on.engine, 1000 * (int64_t)MS, &n) == TS_OK && n == 3); /* as far as there are pictures */
  memset(lent, 0, sizeof lent);
  for (i = 0; i < 3; ++i) {
    lent[i].struct_size = sizeof lent[i];
    CHECK(ts_session_acquire(session, 0, &lent[i]) == TS_OK && lent[i].index == i);
    CHECK(i == 0 || lent[i].data != lent[i - 1].data);
  }
  CHECK(ts_engine_step(on.engine, 1000 * (int64_t)MS, &n) == TS_OK && n == 0);
  CHECK(ts_session_release(session, &lent[1]) == TS_OK); /* in any order */
  CHECK_ERROR(ts_session_release(session, &lent[1]), TS_INVALID_ARGUMENT, "not lent");
  strange = lent[0];
  strange.slot = 1000;
  CHECK_ERROR(ts_session_release(session, &strange), TS_INVALID_ARGUMENT, "slot 1000");
  strange = lent[0];
  strange.index = 17;
  CHECK_ERROR(ts_session_release(session, &strange), TS_INVALID_ARGUMENT, "frame 17");
  CHECK(ts_engine_step(on.engine, 1000 * (int64_t)MS, &n) == TS_OK && n == 1);
  CHECK(take(session, 0, other) == TS_OK && other[0].frame.index == 3);
  CHECK(ts_session_release(session, &lent[0]) == TS_OK);
  ts_session_destroy(session); /* lent[2] goes with it */
  close_stage(&on);
}

/* Handles go in any order: a session keeps what it was made from, also its callers' background. */
static void test_lifetimes(const char* avatar, const char* voice) {
  ts_session_params params = small_params();
  float* color = malloc(3 * sizeof(float));
  ts_background background = {color, NULL};
  stage on;
  ts_session* session;
  int i;
  if (!open_stage(&on, avatar, voice)) return;
  color[0] = 0, color[1] = 1, color[2] = 0;
  params.clock = TS_CLOCK_REAL;
  params.latency_ms = 1000;
  params.background = &background;
  session = session_of(&on, &params);
  free(color);
  close_stage(&on);
  CHECK(push(session, on.sound, N_SOUND) == TS_OK);
  CHECK(ts_session_flush(session) == TS_OK);
  for (i = 0; i < 3; ++i) CHECK(take(session, 20000 * (int64_t)MS, other) == TS_OK);
  CHECK(other[0].pixels[0] == 0 && other[0].pixels[1] == 255 && other[0].pixels[2] == 0);
  ts_session_destroy(session);
}

int main(int argc, char** argv) {
  stage on;
  int64_t before = ts_now_ns();
  if (argc != 3) return 2;
  CHECK(before > 0 && ts_now_ns() >= before);
  if (!open_stage(&on, argv[1], argv[2])) return report("test_session_capi");
  test_whole(&on);
  test_offline(&on);
  close_stage(&on);
  test_chunks(argv[1], argv[2]);
  test_interrupt(argv[1], argv[2]);
  test_queue(argv[1], argv[2]);
  test_starved(argv[1], argv[2]);
  test_close(argv[1], argv[2]);
  test_slots(argv[1], argv[2]);
  test_lifetimes(argv[1], argv[2]);
  ts_session_destroy(NULL);
  return report("test_session_capi");
}
