/* SPDX-License-Identifier: Apache-2.0 */
/* Speech in, video out, in C: reads 16-bit mono sound at 16 kHz from standard input while it arrives, and writes
 * pictures of 512x512 pixels, 3 bytes each, 25 a second, to standard output. Its argument is the avatar that speaks,
 * with whatever rig (ARKit's shapes, FLAME's); without one the demo head does.
 *
 *   cmake -S examples -B build/examples -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build/examples
 *   ffmpeg -i speech.mp3 -f s16le -ac 1 -ar 16000 - | build/examples/speak head.tsplat |
 *     ffmpeg -f rawvideo -pixel_format rgb24 -video_size 512x512 -framerate 25 -i - video.mp4
 *
 * PREFIX is where the library was installed (`cmake --install`). ffmpeg serves only to make and to show raw data.
 * TALKSPLAT_DATA is the folder of the built-in voice and the demo head; CMakeLists.txt defines it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talksplat.h>

enum { kWidth = 512, kHeight = 512, kPush = 320 }; /* pixels, pixels, samples: 20 ms of sound */

static int failed(ts_status status) {
  if (status != TS_OK) fprintf(stderr, "%s\n", ts_last_error());
  return status != TS_OK;
}

/* Draws and writes every frame that the sound so far has made ready. Returns 0, or 1 after a message. */
static int draw_ready(ts_speech* speech, const ts_avatar* avatar, ts_frame* frame, float* control) {
  static unsigned char rgb[kHeight * kWidth * 3];
  const ts_image image = {sizeof image, TS_FORMAT_RGB8, kWidth, kHeight, 0, rgb, NULL, NULL};
  ts_render_params params = ts_render_params_default();
  int64_t n_frames = 0;
  params.control = control;
  while (!failed(ts_speech_read_control(speech, avatar, control, 1, &n_frames))) {
    if (n_frames == 0) return 0;
    if (failed(ts_frame_render(frame, &params, &image, NULL))) return 1;
    if (fwrite(rgb, sizeof rgb, 1, stdout) != 1) {
      perror("standard output");
      return 1;
    }
  }
  return 1;
}

int main(int argc, char** argv) {
  const char* path = argc > 1 ? argv[1] : TALKSPLAT_DATA "/demo.tsplat";
  const ts_speech_params speech_params = ts_speech_params_default(); /* 16 kHz mono in, 25 frames a second out */
  ts_frame_params frame_params = ts_frame_params_default();
  ts_avatar_info info;
  ts_engine* engine = NULL;
  ts_avatar* avatar = NULL;
  ts_frame* frame = NULL;
  ts_voice* voice = NULL;
  ts_speech* speech = NULL;
  float* control;
  int16_t samples[kPush];
  size_t n;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  frame_params.width = kWidth;
  frame_params.height = kHeight;
  frame_params.format = TS_FORMAT_RGB8;
  if (failed(ts_engine_create(NULL, &engine)) || failed(ts_avatar_load(engine, path, &avatar)) ||
      failed(ts_avatar_get_info(avatar, &info)) || failed(ts_frame_create(avatar, &frame_params, &frame)) ||
      failed(ts_voice_load(TALKSPLAT_DATA "/voice.safetensors", &voice)) ||
      failed(ts_speech_create(engine, voice, &speech_params, &speech)))
    return 1; /* what was made goes with the process */
  control = malloc((info.n_control + 1) * sizeof *control);
  if (!control) return 1;
  while ((n = fread(samples, sizeof samples[0], kPush, stdin)) > 0) {
    if (failed(ts_speech_push(speech, TS_SAMPLE_S16, samples, (int64_t)n))) return 1;
    if (draw_ready(speech, avatar, frame, control)) return 1; /* ts_speech_read_control, ts_frame_render, fwrite */
  }
  if (failed(ts_speech_finish(speech)) || draw_ready(speech, avatar, frame, control)) return 1;
  free(control);
  ts_speech_destroy(speech);
  ts_voice_destroy(voice);
  ts_frame_destroy(frame);
  ts_avatar_destroy(avatar);
  ts_engine_destroy(engine);
  return 0;
}
