/* SPDX-License-Identifier: Apache-2.0 */
/* A C program makes a FLAME avatar speak: sound in, controls of its rig, pictures out. Its arguments are the avatar and
 * a voice. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

enum { RATE = 16000, N = 24000, FRAMES = 38, SIDE = 48, MAX_CONTROL = 512 };

static float sound[N], control[FRAMES][MAX_CONTROL], again[FRAMES][MAX_CONTROL];
static float weight[FRAMES][TS_N_WEIGHTS], head_pose[FRAMES][3];

static ts_speech* speech_of(ts_engine* engine, const ts_voice* voice) {
  ts_speech* speech = NULL;
  CHECK(ts_speech_create(engine, voice, NULL, &speech) == TS_OK);
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, sound, N) == TS_OK);
  CHECK(ts_speech_finish(speech) == TS_OK);
  CHECK(ts_speech_ready(speech) == FRAMES);
  return speech;
}

static ts_input_info input_of(const ts_avatar* avatar, const char* name) {
  ts_input_info input;
  memset(&input, 0, sizeof input);
  input.struct_size = sizeof input;
  CHECK(ts_avatar_find_input(avatar, name, &input) == TS_OK);
  return input;
}

/* Controls read from the stream are those that retargeting its faces gives, and they move the jaw and the head. */
static void test_controls(ts_engine* engine, const ts_avatar* avatar, const ts_voice* voice, uint32_t n_control) {
  uint8_t has_place[TS_N_WEIGHTS + 1], moved[16], given[TS_N_WEIGHTS] = {0};
  ts_speech* speech = speech_of(engine, voice);
  ts_faces faces;
  ts_face face;
  ts_retargeted report;
  ts_input_info jaw = input_of(avatar, "jaw_pose");
  float most = 0;
  int64_t n = 0, taken = 0;
  int i;
  while (taken < FRAMES) { /* a few at a time, as they are drawn */
    CHECK(ts_speech_read_control(speech, avatar, &control[0][0] + taken * n_control, 3, &n) == TS_OK);
    if (n <= 0) break;
    taken += n;
  }
  CHECK(taken == FRAMES && ts_speech_ready(speech) == 0);
  ts_speech_destroy(speech);

  speech = speech_of(engine, voice);
  memset(&faces, 0, sizeof faces);
  faces.struct_size = sizeof faces;
  faces.weight = &weight[0][0];
  faces.head_pose = &head_pose[0][0];
  CHECK(ts_speech_read(speech, &faces, FRAMES, &n) == TS_OK && n == FRAMES);
  ts_speech_destroy(speech);
  memset(&face, 0, sizeof face);
  face.struct_size = sizeof face;
  face.n = FRAMES;
  face.weight = &weight[0][0];
  face.head_pose = &head_pose[0][0];
  memset(&report, 0, sizeof report);
  report.struct_size = sizeof report;
  report.has_place = has_place;
  report.moved = moved;
  CHECK(ts_avatar_retarget(avatar, &face, &again[0][0], &report) == TS_OK);
  CHECK(memcmp(control, again, (size_t)FRAMES * n_control * sizeof(float)) == 0);
  CHECK(has_place[17] == 1); /* jawOpen */
  CHECK(has_place[51] == 0); /* tongueOut: FLAME has none */
  CHECK(has_place[TS_N_WEIGHTS] == 1);
  for (i = 0; i < FRAMES; ++i) most = fmaxf(most, fabsf((&control[0][0])[i * (int)n_control + (int)jaw.offset]));
  CHECK(most > 0.01f);
  for (i = 0; i < FRAMES * (int)n_control; ++i) CHECK(isfinite((&control[0][0])[i]));

  /* A face without a head pose, and weights of which only one is given. */
  given[17] = 1;
  face.given = given;
  face.head_pose = NULL;
  CHECK(ts_avatar_retarget(avatar, &face, &again[0][0], NULL) == TS_OK);
  CHECK(memcmp(control, again, (size_t)FRAMES * n_control * sizeof(float)) != 0);
  CHECK_ERROR(ts_avatar_retarget(avatar, NULL, &again[0][0], NULL), TS_INVALID_ARGUMENT, "face");
  CHECK_ERROR(ts_avatar_retarget(avatar, &face, NULL, NULL), TS_INVALID_ARGUMENT, "control");
  weight[1][16] = NAN; /* not given: it is not looked at */
  CHECK(ts_avatar_retarget(avatar, &face, &again[0][0], NULL) == TS_OK);
  face.given = NULL;
  CHECK_ERROR(ts_avatar_retarget(avatar, &face, &again[0][0], NULL), TS_INVALID_ARGUMENT,
              "weight must be finite; number 16 of row 1 is nan");
  weight[1][16] = 0;
  face.head_pose = &head_pose[0][0];
  head_pose[2][1] = INFINITY;
  CHECK_ERROR(ts_avatar_retarget(avatar, &face, &again[0][0], NULL), TS_INVALID_ARGUMENT,
              "head_pose must be finite; number 1 of row 2 is inf");
  face.n = -1;
  CHECK_ERROR(ts_avatar_retarget(avatar, &face, &again[0][0], NULL), TS_INVALID_ARGUMENT, "got -1");
  face.struct_size = 3;
  CHECK_ERROR(ts_avatar_retarget(avatar, &face, &again[0][0], NULL), TS_INVALID_ARGUMENT, "struct_size");
}

static void test_pictures(const ts_avatar* avatar, uint32_t n_control) {
  static unsigned char pixels[FRAMES][SIDE * SIDE * 4];
  ts_frame_params frame_params = ts_frame_params_default();
  ts_render_params params = ts_render_params_default();
  ts_frame* frame = NULL;
  ts_image image;
  int i, changes = 0;
  frame_params.width = frame_params.height = SIDE;
  CHECK(ts_frame_create(avatar, &frame_params, &frame) == TS_OK);
  memset(&image, 0, sizeof image);
  image.struct_size = sizeof image;
  image.format = TS_FORMAT_RGBA8;
  image.width = image.height = SIDE;
  for (i = 0; i < FRAMES; ++i) {
    params.control = &control[0][0] + (size_t)i * n_control;
    image.data = pixels[i];
    CHECK(ts_frame_render(frame, &params, &image, NULL) == TS_OK);
    changes += i > 0 && memcmp(pixels[i], pixels[i - 1], sizeof pixels[i]) != 0;
  }
  CHECK(changes > FRAMES / 2);
  ts_frame_destroy(frame);
}

static ts_avatar_info info_of(const ts_avatar* avatar) {
  ts_avatar_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  CHECK(ts_avatar_get_info(avatar, &info) == TS_OK);
  return info;
}

int main(int argc, char** argv) {
  ts_engine *engine = NULL, *other = NULL; /* who hears need not be who draws */
  ts_avatar* avatar = NULL;
  ts_voice* voice = NULL;
  ts_speech* speech;
  ts_avatar_info info;
  int64_t n = 7;
  int i;
  if (argc != 3) return 2;
  for (i = 0; i < N; ++i) sound[i] = 0.3f * sinf(0.05f * (float)i) * sinf(0.0007f * (float)i) + 0.1f * (i % 97 < 40);
  CHECK(ts_engine_create(NULL, &engine) == TS_OK && ts_engine_create(NULL, &other) == TS_OK);
  CHECK(ts_avatar_load(engine, argv[1], &avatar) == TS_OK);
  CHECK(ts_voice_load(argv[2], &voice) == TS_OK);
  if (!avatar || !voice) return report("test_speak");
  info = info_of(avatar);
  CHECK(info.speaks == 1 && strstr(info.manifest, "\"flame\"") != NULL && info.n_control <= MAX_CONTROL);
  test_controls(other, avatar, voice, info.n_control);
  test_pictures(avatar, info.n_control);

  speech = speech_of(other, voice);
  ts_engine_destroy(other);
  CHECK_ERROR(ts_speech_read_control(speech, NULL, &again[0][0], 1, &n), TS_INVALID_ARGUMENT, "avatar");
  CHECK_ERROR(ts_speech_read_control(speech, avatar, NULL, 1, &n), TS_INVALID_ARGUMENT, "control");
  CHECK_ERROR(ts_speech_read_control(speech, avatar, &again[0][0], -1, &n), TS_INVALID_ARGUMENT, "max_frames");
  CHECK_ERROR(ts_speech_read_control(speech, avatar, &again[0][0], 1, NULL), TS_INVALID_ARGUMENT, "n_frames");
  CHECK(n == 0 && ts_speech_ready(speech) == FRAMES); /* nothing was taken */
  ts_avatar_destroy(avatar);
  ts_speech_destroy(speech);
  ts_voice_destroy(voice);
  ts_engine_destroy(engine);
  return report("test_speak");
}
