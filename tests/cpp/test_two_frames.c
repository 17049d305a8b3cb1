/* SPDX-License-Identifier: Apache-2.0 */
/* Frames of one model at once, one of each precision and each from a thread of its own: each bit-equal to a lone one,
 * and the model is held once. Its argument is an avatar file. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

enum { SIDE = 80, STEPS = 12, ROUNDS = 30, DRAWERS = 3 };

typedef struct drawer {
  ts_frame* frame;
  float* control; /* [STEPS][n_control] */
  uint32_t n_control;
  unsigned char* lone; /* [STEPS][SIDE*SIDE*4] what a frame that is alone draws */
  int wrong;
} drawer;

static ts_status draw(ts_frame* frame, const float* control, unsigned char* pixels) {
  ts_render_params params = ts_render_params_default();
  ts_image image;
  memset(&image, 0, sizeof image);
  image.struct_size = sizeof image;
  image.format = TS_FORMAT_RGBA8;
  image.width = image.height = SIDE;
  image.data = pixels;
  params.control = control;
  return ts_frame_render(frame, &params, &image, NULL);
}

static ts_frame* frame_of(const ts_avatar* avatar, int precision) {
  ts_frame_params params = ts_frame_params_default();
  ts_frame* frame = NULL;
  params.width = params.height = SIDE;
  params.precision = (ts_precision)precision;
  CHECK(ts_frame_create(avatar, &params, &frame) == TS_OK);
  return frame;
}

static void* draw_rounds(void* of) {
  drawer* d = of;
  static _Thread_local unsigned char pixels[SIDE * SIDE * 4];
  int i;
  for (i = 0; i < ROUNDS * STEPS; ++i) {
    const int step = i % STEPS;
    if (draw(d->frame, d->control + (size_t)step * d->n_control, pixels) != TS_OK ||
        memcmp(pixels, d->lone + (size_t)step * sizeof pixels, sizeof pixels) != 0)
      ++d->wrong;
  }
  return NULL;
}

static uint64_t resident_bytes(const ts_avatar* avatar) {
  ts_avatar_info info;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  CHECK(ts_avatar_get_info(avatar, &info) == TS_OK);
  return info.resident_bytes;
}

int main(int argc, char** argv) {
  ts_engine* engine = NULL;
  ts_engine_params params = ts_engine_params_default();
  ts_avatar* avatar = NULL;
  ts_avatar_info info;
  ts_input_info input;
  ts_frame_info about;
  drawer d[DRAWERS];
  pthread_t threads[DRAWERS];
  uint64_t model_bytes;
  uint32_t k;
  int i, step;
  if (argc != 2) return 2;
  params.threads = 3;
  CHECK(ts_engine_create(&params, &engine) == TS_OK);
  CHECK(ts_avatar_load(engine, argv[1], &avatar) == TS_OK);
  if (!avatar) return 1;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  CHECK(ts_avatar_get_info(avatar, &info) == TS_OK);
  memset(&input, 0, sizeof input);
  input.struct_size = sizeof input;
  CHECK(ts_avatar_find_input(avatar, "translation", &input) == TS_OK);

  /* A motion for each, each drawn by a frame that is alone. */
  for (i = 0; i < DRAWERS; ++i) {
    ts_frame* lone = frame_of(avatar, i);
    d[i].n_control = info.n_control;
    d[i].control = calloc((size_t)STEPS * info.n_control, sizeof(float));
    d[i].lone = malloc((size_t)STEPS * SIDE * SIDE * 4);
    d[i].wrong = 0;
    for (step = 0; step < STEPS; ++step) {
      float* control = d[i].control + (size_t)step * info.n_control;
      for (k = 0; k < info.n_control; ++k) control[k] = 0.01f * (float)((step * 7 + (int)k * 3 + i * 11) % 13);
      control[input.offset + (uint32_t)i % input.size] += 0.02f * (float)step;
      CHECK(draw(lone, control, d[i].lone + (size_t)step * SIDE * SIDE * 4) == TS_OK);
    }
    CHECK(memcmp(d[i].lone, d[i].lone + (size_t)SIDE * SIDE * 4, SIDE * SIDE * 4) != 0); /* it moves */
    ts_frame_destroy(lone);
  }
  CHECK(memcmp(d[0].lone + (size_t)SIDE * SIDE * 4, d[1].lone + (size_t)SIDE * SIDE * 4, SIDE * SIDE * 4) != 0);

  model_bytes = resident_bytes(avatar); /* with what its first frame of a precision has packed */
  for (i = 0; i < DRAWERS; ++i) d[i].frame = frame_of(avatar, i);
  CHECK(resident_bytes(avatar) == model_bytes);
  memset(&about, 0, sizeof about);
  about.struct_size = sizeof about;
  CHECK(ts_frame_get_info(d[0].frame, &about) == TS_OK && about.bytes > 0);
  for (i = 0; i < DRAWERS; ++i) CHECK(pthread_create(&threads[i], NULL, draw_rounds, &d[i]) == 0);
  for (i = 0; i < DRAWERS; ++i) CHECK(pthread_join(threads[i], NULL) == 0);
  for (i = 0; i < DRAWERS; ++i) {
    CHECK(d[i].wrong == 0);
    ts_frame_destroy(d[i].frame);
    free(d[i].control);
    free(d[i].lone);
  }
  CHECK_ERROR(ts_frame_render(NULL, NULL, NULL, NULL), TS_INVALID_ARGUMENT, "frame must not be NULL");
  ts_avatar_destroy(avatar);
  ts_engine_destroy(engine);
  return report("test_two_frames");
}
