/* Speech in, video out, in C: reads 16-bit mono sound at 16 kHz from standard input while it arrives, and writes
 * pictures of 512x512 pixels, 3 bytes each, 25 a second, to standard output.
 *
 *   cmake -S examples -B build/examples -DCMAKE_PREFIX_PATH=PREFIX && cmake --build build/examples
 *   ffmpeg -i speech.mp3 -f s16le -ac 1 -ar 16000 - | build/examples/speak |
 *     ffmpeg -f rawvideo -pixel_format rgb24 -video_size 512x512 -framerate 25 -i - video.mp4
 *
 * PREFIX is where the library was installed (`cmake --install`). ffmpeg serves only to make and to show raw data.
 * TALKSPLAT_DATA is the folder of the built-in voice and the demo head; CMakeLists.txt defines it.
 */
#include <stdio.h>
#include <talksplat.h>

enum { kWidth = 512, kHeight = 512, kBlock = 320 }; /* pixels, pixels, samples: 20 ms of sound */

static int failed(ts_status status) {
  if (status != TS_OK) fprintf(stderr, "%s\n", ts_last_error());
  return status != TS_OK;
}

/* Draws and writes every face that the sound so far has made ready. Returns 0, or 1 after a message. */
static int draw_ready(ts_speech* speech, ts_avatar* avatar) {
  static unsigned char rgb[kHeight * kWidth * 3];
  float weight[52], head_pose[3];
  const ts_faces face = {sizeof face, weight, head_pose, NULL, NULL, NULL};
  const ts_control controls[] = {{"arkit", weight, 52}, {"head_pose", head_pose, 3}};
  const ts_image image = {sizeof image, TS_FORMAT_RGB8, kWidth, kHeight, 0, rgb, NULL, NULL};
  ts_render_params params = ts_render_params_default();
  int64_t n_faces = 0;
  params.controls = controls;
  params.n_controls = 2;
  while (!failed(ts_speech_read(speech, &face, 1, &n_faces))) {
    if (n_faces == 0) return 0;
    if (failed(ts_avatar_render(avatar, &params, &image, NULL))) return 1;
    if (fwrite(rgb, sizeof rgb, 1, stdout) != 1) {
      perror("standard output");
      return 1;
    }
  }
  return 1;
}

int main(void) {
  const ts_engine_params engine_params = ts_engine_params_default();
  const ts_speech_params speech_params = ts_speech_params_default(); /* 16 kHz mono in, 25 faces a second out */
  ts_engine* engine = NULL;
  ts_avatar* avatar = NULL;
  ts_voice* voice = NULL;
  ts_speech* speech = NULL;
  int16_t samples[kBlock];
  size_t n;
  if (failed(ts_engine_create(&engine_params, &engine)) ||
      failed(ts_avatar_load(engine, TALKSPLAT_DATA "/demo.tsplat", &avatar)) ||
      failed(ts_voice_load(TALKSPLAT_DATA "/voice.safetensors", &voice)) ||
      failed(ts_speech_create(voice, &speech_params, &speech)))
    return 1; /* what was made goes with the process */
  while ((n = fread(samples, sizeof samples[0], kBlock, stdin)) > 0) {
    if (failed(ts_speech_push(speech, TS_SAMPLE_S16, samples, (int64_t)n))) return 1;
    if (draw_ready(speech, avatar)) return 1; /* each face: ts_speech_read, ts_avatar_render, fwrite */
  }
  if (failed(ts_speech_finish(speech)) || draw_ready(speech, avatar)) return 1;
  ts_speech_destroy(speech);
  ts_voice_destroy(voice);
  ts_avatar_destroy(avatar);
  ts_engine_destroy(engine);
  return 0;
}
