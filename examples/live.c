/* SPDX-License-Identifier: Apache-2.0 */
/* A live face in C: 16-bit mono sound at 16 kHz comes in from standard input while it is spoken, pictures of 256x256
 * pixels, 3 bytes each, go out to standard output on time, 25 a second, and the face lives in between.
 *
 *   cmake -S examples -B build/examples -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build/examples
 *   ffmpeg -i speech.mp3 -f s16le -ac 1 -ar 16000 - | build/examples/live head.tsplat |
 *     ffplay -f rawvideo -pixel_format rgb24 -video_size 256x256 -framerate 25 -
 *
 * PREFIX is where the library was installed (`cmake --install`). Its argument is the avatar; without one the demo head
 * speaks. Pushes are paced here, 20 ms every 20 ms, so that a file is as good as a microphone. One thread does: pushing
 * never waits, and what waits for a frame stops when the next push is due.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talksplat.h>

enum { kWidth = 256, kHeight = 256, kRate = 16000, kPush = 320 };
static const int64_t kPushNs = 20000000;

static int failed(ts_status status) {
  if (status != TS_OK) fprintf(stderr, "%s\n", ts_last_error());
  return status != TS_OK;
}

/* Takes and writes frames until that time, or if it is negative, to the last. Returns TS_TIMEOUT or TS_CLOSED then, or
 * what went wrong. */
static ts_status write_frames(ts_session* session, int64_t until_ns) {
  for (;;) {
    ts_live_frame frame;
    ts_status status;
    int64_t left_ns = -1;
    if (until_ns >= 0) {
      left_ns = until_ns - ts_now_ns();
      if (left_ns < 0) left_ns = 0;
    }
    memset(&frame, 0, sizeof frame);
    frame.struct_size = sizeof frame;
    status = ts_session_acquire(session, left_ns, &frame);
    if (status != TS_OK) return status;
    /* frame.samples is the sound of this picture's time, frame.flags says whether it speaks, idles or is late. */
    for (uint32_t y = 0; y < frame.height; y++)
      fwrite((const char*)frame.data + (int64_t)y * frame.stride_bytes, 3, frame.width, stdout);
    if (failed(ts_session_release(session, &frame))) exit(1);
    if (ferror(stdout)) {
      perror("standard output");
      exit(1);
    }
  }
}

int main(int argc, char** argv) {
  const char* path = argc > 1 ? argv[1] : TALKSPLAT_DATA "/demo.tsplat";
  ts_session_params params = ts_session_params_default(); /* 200 ms from a sound to its frame */
  ts_engine* engine = NULL;
  ts_avatar* avatar = NULL;
  ts_voice* voice = NULL;
  ts_session* session = NULL;
  ts_session_stats stats;
  int16_t samples[kPush];
  ts_status status;
  int64_t due_ns;
  size_t n;
  params.width = kWidth;
  params.height = kHeight;
  params.format = TS_FORMAT_RGB8;
  if (failed(ts_engine_create(NULL, &engine)) || failed(ts_avatar_load(engine, path, &avatar)) ||
      failed(ts_voice_load(TALKSPLAT_DATA "/voice.safetensors", &voice)) ||
      failed(ts_session_create(avatar, voice, &params, &session, NULL)))
    return 1; /* what was made goes with the process */
  due_ns = ts_now_ns();
  while ((n = fread(samples, sizeof samples[0], kPush, stdin)) > 0) {
    due_ns += kPushNs; /* it has been said by then */
    status = write_frames(session, due_ns);
    if (status != TS_TIMEOUT) return failed(status);
    if (failed(ts_session_push_audio(session, TS_SAMPLE_S16, kRate, 1, samples, (int64_t)n))) return 1;
  }
  if (failed(ts_session_close(session))) return 1; /* what was pushed is still said */
  status = write_frames(session, -1);
  if (status != TS_CLOSED) return failed(status);
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  if (failed(ts_session_get_stats(session, &stats))) return 1;
  fprintf(stderr, "%llu frames, %llu late; drawn within %.1f ms (p99) of their sound, which is %.0f ms ahead of them\n",
          (unsigned long long)stats.frames, (unsigned long long)stats.late, stats.p99_ms, stats.look_ahead_ms);
  ts_session_destroy(session);
  ts_voice_destroy(voice);
  ts_avatar_destroy(avatar);
  ts_engine_destroy(engine);
  return 0;
}
