/* SPDX-License-Identifier: Apache-2.0 */
/* What the C ABI of sessions refuses, and what it says. Its arguments are an avatar that speaks and a voice. */
#include "session_c.h"

static stage on;

/* Makes none, and says so with that part. */
static void refuses(const ts_session_params* params, ts_status expected, const char* part) {
  ts_session* session = (ts_session*)&on;
  CHECK_ERROR(ts_session_create(on.avatar, on.voice, params, &session, NULL), expected, part);
  CHECK(session == NULL);
}

static void test_params(void) {
  const ts_session_params good = small_params();
  const float color[3] = {0, 0, NAN}, image[SIDE * SIDE * 3] = {0};
  const ts_background both = {color, image}, wrong = {color, NULL};
  const int strange = 77;
  ts_session_params params = good;
  ts_session* session = NULL;
#define REFUSED(field, value, part)                              \
  do {                                                           \
    params = good;                                               \
    params.field = (value);                                      \
    refuses(&params, TS_INVALID_ARGUMENT, (part));               \
    CHECK(strstr(ts_last_error(), "ts_session_create") != NULL); \
  } while (0)
  CHECK_ERROR(ts_session_create(NULL, on.voice, &good, &session, NULL), TS_INVALID_ARGUMENT, "avatar must not be NULL");
  CHECK_ERROR(ts_session_create(on.avatar, on.voice, &good, NULL, NULL), TS_INVALID_ARGUMENT,
              "session must not be NULL");
  REFUSED(struct_size, 5, "struct_size");
  REFUSED(struct_size, sizeof params + 8, "newer talksplat.h");
  REFUSED(fps, 19.9, "fps must be from 20 to 60; got 19.9. 0 takes the avatar's own.");
  REFUSED(fps, 60.5, "60.5");
  REFUSED(fps, NAN, "nan");
  REFUSED(width, 0, "width and height");
  REFUSED(width, 100000, "100000x48");
  REFUSED(latency_ms, 0, "latency_ms must be more than 0 and at most 60000; got 0.");
  REFUSED(latency_ms, -1, "got -1");
  REFUSED(latency_ms, INFINITY, "got inf");
  REFUSED(latency_ms, NAN, "got nan");
  REFUSED(latency_ms, 60001, "got 60001");
  REFUSED(chunk_ms, -1, "chunk_ms must be from 0 to 10000; got -1. It is how much sound one push brings");
  REFUSED(chunk_ms, 10001, "10001");
  REFUSED(slots, 1, "slots must be in 2..64; got 1");
  REFUSED(slots, 65, "got 65");
  REFUSED(queue_ms, 99, "queue_ms must be in 100..14400000; got 99");
  REFUSED(queue_ms, 14400001, "14400001");
  REFUSED(flush_after_ms, 14400001, "flush_after_ms must be in 0..14400000; got 14400001. 0: never.");
  REFUSED(rate_hz, 7999, "rate_hz must be from 8000 to 192000; got 7999. Resample");
  REFUSED(rate_hz, 192001, "192001");
  REFUSED(channels, 0, "channels must be from 1 to 8; got 0");
  REFUSED(channels, 9, "got 9");
  REFUSED(mouth, 2.5f, "mouth must be from 0 to 2; got 2.5");
  REFUSED(head, -0.5f, "head must be from 0 to 2; got -0.5");
  REFUSED(blink, NAN, "blink must be from 0 to 2; got nan");
  REFUSED(feature_look_ahead_ms, 1, "takes no features of another encoder");
  REFUSED(background, &both, "background has both color and image_f32");
  REFUSED(background, &wrong, "color must be finite; number 2");
#undef REFUSED
#define NO_CHOICE(field, part)                            \
  do {                                                    \
    params = good;                                        \
    memcpy(&params.field, &strange, sizeof params.field); \
    refuses(&params, TS_INVALID_ARGUMENT, (part));        \
  } while (0)
  NO_CHOICE(format, "format must be one of ts_format");
  NO_CHOICE(precision, "precision must be one of ts_precision");
  NO_CHOICE(on_late, "on_late must be TS_LATE_HOLD or TS_LATE_SKIP; got 77");
  NO_CHOICE(idle, "idle must be TS_IDLE_ALIVE, TS_IDLE_STILL or TS_IDLE_NONE; got 77");
  NO_CHOICE(clock, "clock must be TS_CLOCK_REAL or TS_CLOCK_CALLER; got 77");
#undef NO_CHOICE
}

/* The smallest latency is told, and is one that is accepted. */
static void test_latency(void) {
  ts_session_params params = small_params();
  ts_session* session = NULL;
  double smallest = -1, again = -1;
  params.latency_ms = 50;
  CHECK_ERROR(ts_session_create(on.avatar, on.voice, &params, &session, &smallest), TS_LATENCY_REFUSED, "look-ahead");
  CHECK(session == NULL && smallest > 50 && strstr(ts_last_error(), "got 50") != NULL);
  CHECK(fabs(smallest - (20 + 80 + 40)) <
        1e-6); /* chunk, look-ahead and a frame: on the caller's clock drawing is none */
  params.latency_ms = smallest;
  CHECK(ts_session_create(on.avatar, on.voice, &params, &session, &again) == TS_OK && again == smallest);
  CHECK(stats_of(session).smallest_latency_ms == smallest && fabs(stats_of(session).look_ahead_ms - 80) < 1e-6);
  ts_session_destroy(session);
  params.clock = TS_CLOCK_REAL; /* drawing takes time */
  CHECK_ERROR(ts_session_create(on.avatar, on.voice, &params, &session, &again), TS_LATENCY_REFUSED, "drawing, p99");
  CHECK(again > smallest);
}

static void test_calls(void) {
  const ts_session_params params = small_params();
  const int strange = 77;
  ts_session* session = session_of(&on, &params);
  ts_live_frame frame;
  ts_session_stats stats;
  ts_sample_format format;
  float* control = calloc(on.n_control, sizeof(float));
  const float sample = 0;
  int64_t n = 7;
  memset(&frame, 0, sizeof frame);
  frame.struct_size = sizeof frame;
  memset(&stats, 0, sizeof stats);
  memcpy(&format, &strange, sizeof format);
#define REFUSED(call, part) CHECK_ERROR(call, TS_INVALID_ARGUMENT, part)
  REFUSED(push(NULL, &sample, 1), "ts_session_push_audio: session must not be NULL");
  REFUSED(push(session, NULL, 1), "samples must not be NULL");
  REFUSED(push(session, &sample, -1), "n must be from 0 to 2^40; got -1");
  REFUSED(push(session, &sample, INT64_MAX), "9223372036854775807");
  REFUSED(ts_session_push_audio(session, format, RATE, 1, &sample, 1), "format must be TS_SAMPLE_F32 or TS_SAMPLE_S16");
  REFUSED(ts_session_push_audio(session, TS_SAMPLE_F32, 7999, 1, &sample, 1), "rate_hz must be from 8000");
  REFUSED(ts_session_push_audio(session, TS_SAMPLE_F32, RATE, 9, &sample, 1), "channels must be from 1 to 8; got 9");
  on.sound[5] = NAN;
  CHECK_ERROR(push(session, on.sound, 9), TS_AUDIO_INVALID, "nan");
  on.sound[5] = 9;
  CHECK_ERROR(push(session, on.sound, 9), TS_AUDIO_INVALID, "9");
  on.sound[5] = 0;
  CHECK(stats_of(session).queued_ms == 0);

  REFUSED(ts_session_push_features(NULL, &sample, 1), "session");
  REFUSED(ts_session_push_features(session, NULL, 1), "rows must not be NULL");
  REFUSED(ts_session_push_features(session, &sample, 1), "ts_session_push_features");
  CHECK(stats_of(session).feature_floats == 0);
  REFUSED(ts_session_push_controls(NULL, control, 1), "session");
  REFUSED(ts_session_push_controls(session, NULL, 1), "rows must not be NULL");
  REFUSED(ts_session_push_controls(session, control, -2), "got -2");
  control[on.n_control - 1] = INFINITY;
  REFUSED(ts_session_push_controls(session, control, 1), "finite");
  control[on.n_control - 1] = 0;
  CHECK(ts_session_push_controls(session, control, 1) == TS_OK);
  REFUSED(push(session, on.sound, 9) == TS_OK ? ts_session_push_features(session, &sample, 1) : TS_OK, "features");

  REFUSED(ts_session_flush(NULL), "session");
  REFUSED(ts_session_interrupt(NULL, 0, &n), "session");
  CHECK(n == -1);
  REFUSED(ts_session_interrupt(session, 2001, &n), "fade_ms must be in 0..2000; got 2001");
  REFUSED(ts_session_close(NULL), "session");
  REFUSED(ts_session_abort(NULL), "session");
  REFUSED(ts_session_acquire(NULL, 0, &frame), "session");
  REFUSED(ts_session_acquire(session, 0, NULL), "frame must not be NULL");
  frame.struct_size = 3;
  REFUSED(ts_session_acquire(session, 0, &frame), "struct_size");
  REFUSED(ts_session_release(session, &frame), "struct_size");
  frame.struct_size = sizeof frame;
  REFUSED(ts_session_release(session, &frame), "not lent");
  REFUSED(ts_session_release(session, NULL), "frame must not be NULL");
  REFUSED(ts_session_release(NULL, &frame), "session");
  REFUSED(ts_session_set_callback(NULL, NULL, NULL), "session");
  REFUSED(ts_session_get_stats(NULL, &stats), "session");
  REFUSED(ts_session_get_stats(session, NULL), "stats must not be NULL");
  REFUSED(ts_session_get_stats(session, &stats), "struct_size");
  stats.struct_size = offsetof(ts_session_stats, fps); /* of an older header */
  CHECK(ts_session_get_stats(session, &stats) == TS_OK && stats.sessions == 1 && stats.fps == 0);

  REFUSED(ts_engine_step(NULL, 0, &n), "engine");
  REFUSED(ts_engine_step(on.engine, -1, &n), "time_ns must be 0 or more; got -1");
  CHECK(ts_engine_step(on.engine, 20, &n) == TS_OK);
  REFUSED(ts_engine_step(on.engine, 19, &n), "must not run back: it was 20, and is 19");
  CHECK(n == 0);
#undef REFUSED
  CHECK_ERROR(ts_session_acquire(session, 0, &frame), TS_TIMEOUT, "there is no frame yet");
  CHECK(strcmp(ts_status_name(TS_TIMEOUT), "timeout") == 0 && strcmp(ts_status_name(TS_CLOSED), "closed") == 0);
  CHECK(strcmp(ts_status_name(TS_QUEUE_FULL), "queue full") == 0);
  CHECK(strcmp(ts_status_name(TS_LATENCY_REFUSED), "latency refused") == 0);
  free(control);
  ts_session_destroy(session);
}

static void test_presence(void) {
  const ts_session_params params = small_params();
  const ts_presence good = ts_presence_default();
  ts_presence presence = good;
  ts_session* session = session_of(&on, &params);
#define REFUSED(field, value, part)                                             \
  do {                                                                          \
    presence = good;                                                            \
    presence.field = (value);                                                   \
    CHECK_ERROR(ts_session_set(session, &presence), TS_INVALID_ARGUMENT, part); \
  } while (0)
  CHECK(ts_session_set(session, &good) == TS_OK);
  CHECK_ERROR(ts_session_set(NULL, &good), TS_INVALID_ARGUMENT, "session");
  CHECK_ERROR(ts_session_set(session, NULL), TS_INVALID_ARGUMENT, "presence must not be NULL");
  REFUSED(struct_size, 2, "struct_size");
  REFUSED(look, 2, "look must be 0 or 1; got 2");
  REFUSED(gaze[0], 1.5f, "ts_session_set: gaze[0] must be from -1 to 1; got 1.5");
  REFUSED(gaze[1], NAN, "gaze[1] must be from -1 to 1; got nan");
  REFUSED(head_pose[2], -1.5f, "head_pose[2] must be from -1 to 1; got -1.5");
  REFUSED(head, 2.5f, "head must be from 0 to 2; got 2.5");
  REFUSED(blink, -1, "blink must be from 0 to 2; got -1");
  REFUSED(listening, 1.5f, "listening must be from 0 to 1; got 1.5");
  REFUSED(emotion[TS_DISGUSTED], -0.5f, "emotion[5] must be from 0 to 1; got -0.5");
#undef REFUSED
  presence = good;
  presence.gaze[0] = 7; /* not read: an older header ends before it */
  presence.struct_size = offsetof(ts_presence, gaze);
  CHECK(ts_session_set(session, &presence) == TS_OK);
  ts_session_destroy(session);
}

/* Without a voice no sound moves the face; controls do, and nothing is added to them. */
static void test_without_voice(void) {
  static kept frames[4];
  static unsigned char pixels[PIXELS];
  ts_session_params params = small_params();
  ts_frame_params frame_params = ts_frame_params_default();
  ts_render_params render = ts_render_params_default();
  ts_input_info jaw;
  ts_session* session = NULL;
  ts_frame* frame = NULL;
  ts_image image;
  float* rows = calloc(3 * (size_t)on.n_control, sizeof(float));
  int i;
  memset(&jaw, 0, sizeof jaw);
  jaw.struct_size = sizeof jaw;
  CHECK(ts_avatar_find_input(on.avatar, "jaw_pose", &jaw) == TS_OK);
  for (i = 0; i < 3; ++i) rows[(size_t)i * on.n_control + jaw.offset] = 0.1f * (float)i;
  CHECK(ts_session_create(on.avatar, NULL, &params, &session, NULL) == TS_OK);
  CHECK_ERROR(push(session, on.sound, 9), TS_INVALID_ARGUMENT, "voice");
  CHECK(ts_session_push_controls(session, rows, 3) == TS_OK && ts_session_flush(session) == TS_OK);
  CHECK(run_to(&on, session, 1000, 1400, frames, 4) == 4);
  CHECK(frames[2].frame.flags == (TS_LIVE_SPEECH | TS_LIVE_SEGMENT_END) && frames[3].frame.flags == TS_LIVE_IDLE);
  frame_params.width = frame_params.height = SIDE;
  CHECK(ts_frame_create(on.avatar, &frame_params, &frame) == TS_OK);
  memset(&image, 0, sizeof image);
  image.struct_size = sizeof image;
  image.format = TS_FORMAT_RGBA8;
  image.width = image.height = SIDE;
  image.data = pixels;
  for (i = 0; i < 3; ++i) {
    render.control = rows + (size_t)i * on.n_control;
    CHECK(ts_frame_render(frame, &render, &image, NULL) == TS_OK);
    CHECK(memcmp(pixels, frames[i].pixels, PIXELS) == 0);
  }
  ts_frame_destroy(frame);
  ts_session_destroy(session);
  free(rows);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  if (!open_stage(&on, argv[1], argv[2])) return report("test_session_errors");
  test_params();
  test_latency();
  test_calls();
  test_presence();
  test_without_voice();
  close_stage(&on);
  return report("test_session_errors");
}
