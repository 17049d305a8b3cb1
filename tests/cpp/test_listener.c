/* SPDX-License-Identifier: Apache-2.0 */
/* The listener: sound of any rate to 16 kHz, however it is pushed and read, and what is refused. */
#include <math.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

enum { N = 24001, MOST = 50000 };

static float sound[2 * N], whole[MOST], pieces[MOST];
static int16_t small[N];

static ts_listener* made(uint32_t rate_hz, uint32_t channels) {
  ts_listener* listener = NULL;
  CHECK(ts_listener_create(rate_hz, channels, &listener) == TS_OK);
  return listener;
}

static int64_t read_all(ts_listener* listener, float* into, int64_t room) {
  const int64_t ready = ts_listener_ready(listener);
  int64_t n = -1;
  CHECK(ts_listener_read(listener, into, room, &n) == TS_OK);
  CHECK(n == (ready < room ? ready : room) && ts_listener_ready(listener) == ready - n);
  return n;
}

static void test_pieces(uint32_t rate_hz, uint32_t channels) {
  ts_listener* listener = made(rate_hz, channels);
  const int64_t expected = ((int64_t)N * 16000 + rate_hz - 1) / rate_hz;
  int64_t n, n_pieces = 0, at = 0;
  int turn = 0, round;
  CHECK(ts_listener_push(listener, TS_SAMPLE_F32, sound, N) == TS_OK);
  CHECK(ts_listener_finish(listener) == TS_OK);
  n = read_all(listener, whole, MOST);
  CHECK(n == expected);
  for (round = 0; round < 2; ++round) { /* once more after reset */
    CHECK(ts_listener_reset(listener) == TS_OK && ts_listener_ready(listener) == 0);
    for (at = n_pieces = 0; at < N; ++turn) {
      const int64_t sizes[] = {0, 1, 7, 1024, 1025, 3000};
      int64_t size = sizes[turn % 6];
      if (size > N - at) size = N - at;
      CHECK(ts_listener_push(listener, TS_SAMPLE_F32, sound + at * channels, size) == TS_OK);
      at += size;
      if (turn % 3) n_pieces += read_all(listener, pieces + n_pieces, turn % 2 ? 100 : MOST - n_pieces);
    }
    CHECK(ts_listener_finish(listener) == TS_OK);
    CHECK(ts_listener_finish(listener) == TS_OK);
    n_pieces += read_all(listener, pieces + n_pieces, MOST - n_pieces);
    CHECK(n_pieces == n && memcmp(whole, pieces, (size_t)n * sizeof(float)) == 0);
  }
  ts_listener_destroy(listener);
}

static void test_formats(void) {
  ts_listener *floats = made(48000, 1), *ints = made(48000, 1);
  int64_t n;
  int i;
  for (i = 0; i < N; ++i) {
    small[i] = (int16_t)lrintf(20000 * sound[i]);
    pieces[i] = (float)small[i] / 32768;
  }
  CHECK(ts_listener_push(ints, TS_SAMPLE_S16, small, N) == TS_OK);
  CHECK(ts_listener_push(floats, TS_SAMPLE_F32, pieces, N) == TS_OK);
  n = read_all(ints, whole, MOST);
  CHECK(n > 7900 && read_all(floats, pieces, MOST) == n);
  CHECK(memcmp(whole, pieces, (size_t)n * sizeof(float)) == 0);
  ts_listener_destroy(ints);
  ts_listener_destroy(floats);
}

static void test_refused(void) {
  ts_listener* listener = (ts_listener*)sound;
  float bad[3] = {0, NAN, 0};
  int64_t n = 7;
  CHECK_ERROR(ts_listener_create(16000, 1, NULL), TS_INVALID_ARGUMENT, "listener must not be NULL");
  CHECK_ERROR(ts_listener_create(7999, 1, &listener), TS_INVALID_ARGUMENT, "rate_hz must be from 8000 to 192000");
  CHECK(listener == NULL);
  CHECK_ERROR(ts_listener_create(16000, 9, &listener), TS_INVALID_ARGUMENT, "channels must be from 1 to 8; got 9");
  listener = made(16000, 1);
  CHECK_ERROR(ts_listener_push(NULL, TS_SAMPLE_F32, sound, 1), TS_INVALID_ARGUMENT, "listener");
  CHECK_ERROR(ts_listener_push(listener, TS_SAMPLE_F32, NULL, 1), TS_INVALID_ARGUMENT, "samples must not be NULL");
  CHECK_ERROR(ts_listener_push(listener, TS_SAMPLE_F32, sound, -1), TS_INVALID_ARGUMENT,
              "n must be from 0 to 2^40; got -1");
  CHECK_ERROR(ts_listener_push(listener, TS_SAMPLE_F32, bad, 3), TS_AUDIO_INVALID, "sample 1 of channel 0");
  CHECK(ts_listener_ready(listener) == 0 && ts_listener_ready(NULL) == 0);
  CHECK_ERROR(ts_listener_read(NULL, bad, 1, &n), TS_INVALID_ARGUMENT, "listener");
  CHECK(n == 0);
  CHECK_ERROR(ts_listener_read(listener, bad, 1, NULL), TS_INVALID_ARGUMENT, "n_samples");
  CHECK_ERROR(ts_listener_read(listener, bad, -1, &n), TS_INVALID_ARGUMENT, "max_samples must be 0 or more; got -1");
  CHECK_ERROR(ts_listener_read(listener, NULL, 1, &n), TS_INVALID_ARGUMENT, "samples must not be NULL");
  CHECK_ERROR(ts_listener_finish(NULL), TS_INVALID_ARGUMENT, "listener");
  CHECK_ERROR(ts_listener_reset(NULL), TS_INVALID_ARGUMENT, "listener");
  CHECK(ts_listener_finish(listener) == TS_OK);
  CHECK_ERROR(ts_listener_push(listener, TS_SAMPLE_F32, sound, 1), TS_INVALID_ARGUMENT, "the sound was finished");
  ts_listener_destroy(listener);
  ts_listener_destroy(NULL);
}

int main(void) {
  int i;
  for (i = 0; i < 2 * N; ++i) sound[i] = 0.4f * sinf(0.03f * (float)i) + 0.2f * (float)(i % 101 < 50);
  test_pieces(16000, 1);
  test_pieces(48000, 2);
  test_pieces(8000, 1);
  test_pieces(44101, 1);
  test_formats();
  test_refused();
  return report("test_listener");
}
