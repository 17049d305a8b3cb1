/* SPDX-License-Identifier: Apache-2.0 */
/* A plain C program that speaks with a voice file, its argument: load, push, read, finish, reset, what is refused. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

enum { RATE = 16000, N = 24000, MAX_FRAMES = 64, MAX_CHANNELS = 64, MAX_FEATURES = 512 };

typedef struct frames {
  float weight[MAX_FRAMES * 52], head_pose[MAX_FRAMES * 3], voice[MAX_FRAMES];
  float channel[MAX_FRAMES * MAX_CHANNELS], feature[MAX_FRAMES * MAX_FEATURES];
  int64_t n;
} frames;

static float sound[N];

static ts_faces into(frames* f, const ts_voice_info* info) {
  ts_faces faces;
  memset(&faces, 0, sizeof faces);
  faces.struct_size = sizeof faces;
  faces.weight = f->weight + f->n * info->n_weights;
  faces.head_pose = f->head_pose + f->n * 3;
  faces.voice = f->voice + f->n;
  faces.channel = f->channel + f->n * info->n_channels;
  faces.feature = f->feature + f->n * info->n_features;
  return faces;
}

static void read_all(ts_speech* speech, frames* f, const ts_voice_info* info) {
  int64_t n = -1;
  const int64_t ready = ts_speech_ready(speech);
  const ts_faces faces = into(f, info);
  CHECK(ts_speech_read(speech, &faces, MAX_FRAMES - f->n, &n) == TS_OK);
  CHECK(n == ready);
  f->n += n;
}

static void test_info(const ts_voice* voice, ts_voice_info* info) {
  uint32_t i, jaw = 0;
  memset(info, 0, sizeof *info);
  info->struct_size = sizeof *info;
  CHECK(ts_voice_get_info(voice, info) == TS_OK);
  CHECK(info->manifest[0] == '{' && strstr(info->manifest, "\"towers\"") != NULL);
  CHECK(info->look_ahead_s > 0.019 && info->look_ahead_s < 0.0801);
  CHECK(info->n_weights == 52 && info->n_channels >= 13 && info->n_channels <= MAX_CHANNELS);
  CHECK(info->n_features >= 16 && info->n_features <= MAX_FEATURES);
  CHECK(info->n_parameters > 0 && info->file_bytes > 0);
  for (i = 0; i < info->n_weights; ++i) jaw += strcmp(info->weight_names[i], "jawOpen") == 0;
  for (i = 0; i < info->n_channels; ++i) jaw += strcmp(info->channel_names[i], "jawOpen") == 0;
  CHECK(jaw == 2);
  CHECK_ERROR(ts_voice_get_info(NULL, info), TS_INVALID_ARGUMENT, "voice");
  CHECK_ERROR(ts_voice_get_info(voice, NULL), TS_INVALID_ARGUMENT, "result");

  /* A program built before the last fields has no room for them. */
  info->file_bytes = 7;
  info->struct_size = offsetof(ts_voice_info, file_bytes);
  CHECK(ts_voice_get_info(voice, info) == TS_OK);
  CHECK(info->file_bytes == 7 && info->struct_size == offsetof(ts_voice_info, file_bytes));
}

static ts_engine* engine_of(const char* isa) {
  ts_engine_params params = ts_engine_params_default();
  ts_engine* engine = NULL;
  params.threads = 1;
  params.isa = isa;
  CHECK(ts_engine_create(&params, &engine) == TS_OK);
  return engine;
}

/* Pushing all at once and reading at the end, or by the millisecond and reading along: the same bits. */
static void test_streams(const ts_voice* voice, const ts_voice_info* info, const char* isa) {
  static frames whole, parts, again;
  ts_speech_params params = ts_speech_params_default();
  ts_speech* speech = NULL;
  int64_t i, n = -1;
  ts_faces faces;
  ts_engine* engine = engine_of(isa);
  CHECK(params.struct_size == sizeof params && params.rate_hz == 16000 && params.channels == 1);
  CHECK(params.fps == 25 && params.mouth == 1 && params.head == 1 && params.blink == 1);
  params.seed = 5;
  whole.n = parts.n = again.n = 0;
  CHECK(ts_speech_create(engine, voice, &params, &speech) == TS_OK);
  ts_engine_destroy(engine); /* the stream keeps what it needs */
  if (!speech) return;
  CHECK(ts_speech_ready(speech) == 0);
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, sound, N) == TS_OK);
  CHECK(ts_speech_ready(speech) == (int64_t)floor((N / (double)RATE - info->look_ahead_s) * 25 + 1e-9) + 1);
  CHECK(ts_speech_finish(speech) == TS_OK);
  read_all(speech, &whole, info);
  CHECK(whole.n == (N * 25 + RATE - 1) / RATE);
  for (i = 0; i < whole.n * 52; ++i) {
    if (!(whole.weight[i] >= 0 && whole.weight[i] <= 1)) break;
  }
  CHECK(i == whole.n * 52);
  for (i = 0; i < whole.n; ++i) CHECK(whole.voice[i] >= 0 && whole.voice[i] <= 1);
  CHECK(ts_speech_ready(speech) == 0);
  CHECK_ERROR(ts_speech_push(speech, TS_SAMPLE_F32, sound, 1), TS_INVALID_ARGUMENT, "finished; reset");
  CHECK(ts_speech_finish(speech) == TS_OK);

  CHECK(ts_speech_reset(speech) == TS_OK);
  for (i = 0; i < N; i += 16) {
    CHECK(ts_speech_push(speech, TS_SAMPLE_F32, sound + i, 16) == TS_OK);
    read_all(speech, &parts, info);
  }
  CHECK(ts_speech_finish(speech) == TS_OK);
  read_all(speech, &parts, info);
  CHECK(parts.n == whole.n);
  CHECK(memcmp(&parts, &whole, sizeof whole) == 0);

  /* Any array may be missing; frames are taken all the same. */
  CHECK(ts_speech_reset(speech) == TS_OK);
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, sound, N) == TS_OK);
  memset(&faces, 0, sizeof faces);
  faces.struct_size = sizeof faces;
  CHECK(ts_speech_read(speech, &faces, 2, &n) == TS_OK && n == 2);
  faces.weight = again.weight;
  CHECK(ts_speech_read(speech, &faces, 3, &n) == TS_OK && n == 3);
  CHECK(memcmp(again.weight, whole.weight + 2 * 52, 3 * 52 * sizeof(float)) == 0);
  CHECK(ts_speech_read(speech, &faces, 0, &n) == TS_OK && n == 0);
  faces.feature = again.feature; /* of a program that does not know of it */
  faces.struct_size = offsetof(ts_faces, feature);
  CHECK(ts_speech_read(speech, &faces, 1, &n) == TS_OK && n == 1);
  for (i = 0; i < info->n_features; ++i) CHECK(again.feature[i] == 0);

  CHECK_ERROR(ts_speech_read(speech, &faces, -1, &n), TS_INVALID_ARGUMENT, "max_frames");
  CHECK_ERROR(ts_speech_read(speech, NULL, 1, &n), TS_INVALID_ARGUMENT, "faces");
  CHECK_ERROR(ts_speech_read(speech, &faces, 1, NULL), TS_INVALID_ARGUMENT, "n_frames");
  CHECK_ERROR(ts_speech_read(NULL, &faces, 1, &n), TS_INVALID_ARGUMENT, "speech");
  faces.struct_size = 2;
  CHECK_ERROR(ts_speech_read(speech, &faces, 1, &n), TS_INVALID_ARGUMENT, "struct_size");
  ts_speech_destroy(speech);
}

/* Parameters with one member changed. */
#define REFUSED(member, value, status, part)                                        \
  do {                                                                              \
    ts_speech_params params = ts_speech_params_default();                           \
    params.member = value;                                                          \
    CHECK_ERROR(ts_speech_create(engine, voice, &params, &speech), (status), part); \
  } while (0)

static void test_errors(ts_engine* engine, const ts_voice* voice) {
  ts_speech_params params = ts_speech_params_default();
  ts_speech* speech = NULL;
  ts_voice* none = NULL;
  const int16_t pcm[4] = {0, 1, -2, 3};
  float bad[4] = {0, 0, 0, 0};
  CHECK_ERROR(ts_voice_load("there is no such voice", &none), TS_VOICE_NOT_FOUND, "no such file");
  CHECK_ERROR(ts_voice_load(".", &none), TS_VOICE_INVALID, "directory");
  CHECK_ERROR(ts_voice_load(NULL, &none), TS_INVALID_ARGUMENT, "path");
  CHECK_ERROR(ts_voice_load("x", NULL), TS_INVALID_ARGUMENT, "voice");
  CHECK(none == NULL);
  ts_voice_destroy(NULL);
  ts_speech_destroy(NULL);
  CHECK(ts_speech_ready(NULL) == 0);

  CHECK_ERROR(ts_speech_create(engine, NULL, &params, &speech), TS_INVALID_ARGUMENT, "voice");
  CHECK_ERROR(ts_speech_create(NULL, voice, &params, &speech), TS_INVALID_ARGUMENT, "engine");
  CHECK_ERROR(ts_speech_create(engine, voice, &params, NULL), TS_INVALID_ARGUMENT, "speech");
  REFUSED(rate_hz, 4000, TS_INVALID_ARGUMENT, "rate_hz must be from 8000 to 192000");
  REFUSED(channels, 9, TS_INVALID_ARGUMENT, "channels must be from 1 to 8");
  REFUSED(fps, NAN, TS_INVALID_ARGUMENT, "fps must be from 20 to 60");
  REFUSED(fps, 60.0000001, TS_INVALID_ARGUMENT, "got 60.0000001.");
  REFUSED(fps, 19.999999999999996, TS_INVALID_ARGUMENT, "got 19.999999999999996.");
  REFUSED(mouth, 2.0000002f, TS_INVALID_ARGUMENT, "got 2.0000002.");
  REFUSED(head, 2.1f, TS_INVALID_ARGUMENT, "got 2.1.");
  REFUSED(mouth, -1, TS_INVALID_ARGUMENT, "mouth must be from 0 to 2");
  REFUSED(head, 3, TS_INVALID_ARGUMENT, "head must be from 0 to 2");
  REFUSED(blink, INFINITY, TS_INVALID_ARGUMENT, "blink must be from 0 to 2");
  REFUSED(struct_size, 1, TS_INVALID_ARGUMENT, "struct_size");
  CHECK(speech == NULL);

  /* A program built before the last member has no room for it. */
  params.blink = 7;
  params.struct_size = offsetof(ts_speech_params, blink);
  CHECK(ts_speech_create(engine, voice, &params, &speech) == TS_OK);
  ts_speech_destroy(speech);
  speech = NULL;
  /* NULL parameters are the defaults. */
  CHECK(ts_speech_create(engine, voice, NULL, &speech) == TS_OK);
  if (!speech) return;
  CHECK_ERROR(ts_speech_push(NULL, TS_SAMPLE_F32, bad, 1), TS_INVALID_ARGUMENT, "speech");
  CHECK_ERROR(ts_speech_push(speech, (ts_sample_format)2, bad, 1), TS_INVALID_ARGUMENT, "format");
  CHECK_ERROR(ts_speech_push(speech, TS_SAMPLE_F32, bad, -1), TS_INVALID_ARGUMENT, "n must be from 0 to 2^40; got -1");
  CHECK_ERROR(ts_speech_push(speech, TS_SAMPLE_F32, NULL, 1), TS_INVALID_ARGUMENT, "samples");
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, NULL, 0) == TS_OK);
  CHECK(ts_speech_push(speech, TS_SAMPLE_S16, pcm, 4) == TS_OK);
  bad[2] = NAN;
  CHECK_ERROR(ts_speech_push(speech, TS_SAMPLE_F32, bad, 4), TS_AUDIO_INVALID, "sample 6 of channel 0 is nan");
  bad[2] = 12000;
  CHECK_ERROR(ts_speech_push(speech, TS_SAMPLE_F32, bad, 4), TS_AUDIO_INVALID, "Divide them by 32768");
  CHECK_ERROR(ts_speech_finish(NULL), TS_INVALID_ARGUMENT, "speech");
  CHECK_ERROR(ts_speech_reset(NULL), TS_INVALID_ARGUMENT, "speech");
  CHECK(ts_speech_finish(speech) == TS_OK);
  CHECK(ts_speech_ready(speech) == 1); /* the four good samples */
  ts_speech_destroy(speech);
}

int main(int argc, char** argv) {
  ts_engine* engine = NULL;
  ts_voice* voice = NULL;
  ts_speech* speech = NULL;
  ts_voice_info info;
  uint32_t i;
  if (argc != 2) {
    fprintf(stderr, "usage: test_capi_voice VOICE\n");
    return 2;
  }
  for (i = 0; i < N; ++i) sound[i] = 0.3f * sinf(0.05f * (float)i) * sinf(0.0007f * (float)i) + 0.1f * (i % 97 < 40);
  CHECK(ts_voice_load(argv[1], &voice) == TS_OK);
  if (!voice) return 1;
  test_info(voice, &info);
  for (i = 0; i < ts_isa_count(); ++i) test_streams(voice, &info, ts_isa_name(i));
  CHECK(ts_engine_create(NULL, &engine) == TS_OK);
  test_errors(engine, voice);

  /* A stream keeps what it needs of its voice. */
  CHECK(ts_speech_create(engine, voice, NULL, &speech) == TS_OK);
  ts_voice_destroy(voice);
  CHECK(ts_speech_push(speech, TS_SAMPLE_F32, sound, N) == TS_OK);
  CHECK(ts_speech_finish(speech) == TS_OK);
  CHECK(ts_speech_ready(speech) == (N * 25 + RATE - 1) / RATE);
  ts_speech_destroy(speech);
  ts_engine_destroy(engine);

  return report("test_capi_voice");
}
