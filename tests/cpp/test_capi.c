/* SPDX-License-Identifier: Apache-2.0 */
/* A plain C program that drives talksplat.h from end to end, as somebody would who has nothing else.
 * With an avatar file as its argument it loads, poses and draws that too. */
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check_c.h"
#include "talksplat.h"

enum { WIDTH = 40, HEIGHT = 24, N = 3 };

/* A red, a green and a blue Gaussian from left to right at depth 2. */
static const float mean_w[N * 3] = {-0.5f, 0, 2, 0, 0, 2, 0.5f, 0, 2};
static const float quat[N * 4] = {1, 0, 0, 0, 2, 0, 0, 0, 0.5f, 0.5f, 0.5f, 0.5f};
static const float scale[N * 3] = {0.08f, 0.08f, 0.08f, 0.08f, 0.08f, 0.08f, 0.08f, 0.08f, 0.08f};
static const float opacity[N] = {1, 1, 1};
static const float color[N * 3] = {1, 0, 0, 0, 1, 0, 0, 0, 1};

static ts_rasterize_params scene(void) {
  ts_rasterize_params params = ts_rasterize_params_default();
  int i;
  params.n = N;
  params.mean_w = mean_w;
  params.quat = quat;
  params.scale = scale;
  params.opacity = opacity;
  params.color = color;
  for (i = 0; i < 16; ++i) params.camera.cam_from_world[i] = i % 5 == 0 ? 1.0f : 0.0f;
  params.camera.fx = params.camera.fy = 50;
  params.camera.cx = WIDTH / 2.0f;
  params.camera.cy = HEIGHT / 2.0f;
  return params;
}

static ts_image image_of(ts_format format, void* data) {
  ts_image image;
  memset(&image, 0, sizeof image);
  image.struct_size = sizeof image;
  image.format = format;
  image.width = WIDTH;
  image.height = HEIGHT;
  image.data = data;
  return image;
}

static int near(float a, float b, float tolerance) { return fabsf(a - b) <= tolerance; }

static void test_versions(void) {
  uint32_t i;
  CHECK(ts_abi_version() == TS_ABI_VERSION);
  CHECK(strlen(ts_version()) >= 5);
  CHECK(strcmp(ts_last_error(), "") == 0);
  CHECK(ts_isa_count() >= 1);
  CHECK(strcmp(ts_isa_name(0), "scalar") == 0);
  for (i = 0; i < ts_isa_count(); ++i) CHECK(ts_isa_name(i) != NULL);
  CHECK(ts_isa_name(ts_isa_count()) == NULL);
  for (i = TS_OK; i <= TS_AUDIO_INVALID; ++i) CHECK(strcmp(ts_status_name((ts_status)i), "unknown status") != 0);
}

static void test_clock(void) {
  CHECK(ts_frame_count(640, 16000, 25) == 1 && ts_frame_count(641, 16000, 25) == 2);
  CHECK(ts_first_sample(5, 48000, 30000.0 / 1001) == 8008);
  CHECK(ts_frame_count(-1, 16000, 25) == 0 && ts_first_sample(-1, 16000, 25) == 0);
  CHECK(ts_frame_count(640, 0, 25) == 0 && ts_first_sample(3, 16000, NAN) == 0 && ts_first_sample(3, 16000, 0) == 0);
  CHECK(ts_frame_count(INT64_MAX, 1, 1000) == 0 && ts_first_sample(INT64_MAX, 192000, 1) == 0);
  CHECK(ts_first_sample((int64_t)1 << 22, 192000, 1) == ((int64_t)1 << 22) * 192000);
  CHECK(ts_frame_count(0, 16000, 25) == 0 && ts_first_sample(0, 16000, 25) == 0);
}

static void test_engine(void) {
  uint32_t i;
  ts_engine* engine = NULL;
  ts_engine_params params = ts_engine_params_default();
  ts_engine_info info;
  CHECK(params.struct_size == sizeof params);
  CHECK(params.threads == 0 && params.device == NULL && params.isa == NULL);
  for (i = 0; i < ts_isa_count(); ++i) {
    params.threads = i + 1;
    params.isa = ts_isa_name(i);
    CHECK(ts_engine_create(&params, &engine) == TS_OK);
    memset(&info, 0, sizeof info);
    info.struct_size = sizeof info;
    CHECK(ts_engine_get_info(engine, &info) == TS_OK);
    CHECK(info.threads == i + 1);
    CHECK(strcmp(info.isa, ts_isa_name(i)) == 0 && strcmp(info.device, "cpu") == 0);
    ts_engine_destroy(engine);
  }
  ts_engine_destroy(NULL);
  params.isa = "mmx";
  CHECK_ERROR(ts_engine_create(&params, &engine), TS_DEVICE_ERROR, "mmx");
  params = ts_engine_params_default();
  params.device = "auto";
  CHECK(ts_engine_create(&params, &engine) == TS_OK);
  ts_engine_destroy(engine);
  params.device = NULL;
  params.threads = TS_MAX_THREADS + 1;
  CHECK_ERROR(ts_engine_create(&params, &engine), TS_INVALID_ARGUMENT, "threads must be in 0..256; got 257");
  params = ts_engine_params_default();
  CHECK_ERROR(ts_engine_create(&params, NULL), TS_INVALID_ARGUMENT, "engine");
  params.struct_size = 1;
  CHECK_ERROR(ts_engine_create(&params, &engine), TS_INVALID_ARGUMENT, "struct_size");
}

/* Float RGB is the measure; the other formats must agree with it. */
static void test_formats(ts_engine* engine) {
  static float rgb[HEIGHT][WIDTH][3], alpha[HEIGHT][WIDTH], depth[HEIGHT][WIDTH];
  static uint8_t rgba8[HEIGHT][WIDTH][4], rgb8[HEIGHT][WIDTH][3], nv12[HEIGHT * 3 / 2][WIDTH];
  static uint8_t padded[HEIGHT][WIDTH * 3 + 5];
  const float grey[3] = {0.5f, 0.5f, 0.5f};
  static float picture[HEIGHT * WIDTH * 3];
  ts_rasterize_params params = scene();
  ts_image image = image_of(TS_FORMAT_RGB_F32, rgb);
  ts_receipt receipt;
  int x, y, c, wrong = 0, centre = WIDTH / 2, left = WIDTH / 2 - 12, middle = HEIGHT / 2;
  image.alpha = &alpha[0][0];
  image.depth = &depth[0][0];
  memset(&receipt, 0, sizeof receipt);
  receipt.struct_size = sizeof receipt;

  CHECK(ts_rasterize(engine, &params, &image, &receipt) == TS_OK);
  CHECK(rgb[middle][centre][1] > 0.7f && rgb[middle][centre][0] < 0.1f);
  CHECK(rgb[middle][left][0] > 0.7f && rgb[middle][left][2] < 0.1f);
  CHECK(near(depth[middle][centre], 2 * alpha[middle][centre], 1e-4f));
  CHECK(rgb[0][0][0] == 0 && alpha[0][0] == 0 && depth[0][0] == 0);
  CHECK(receipt.n_gaussians == N && receipt.n_visible == N && receipt.n_instances >= N);
  CHECK(receipt.total_us > 0);

  /* Straight alpha without a background. */
  image = image_of(TS_FORMAT_RGBA8, rgba8);
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  CHECK(rgba8[0][0][3] == 0);
  CHECK(near(rgba8[middle][centre][3], 255 * alpha[middle][centre], 1.0f));
  CHECK(rgba8[middle][centre][1] > 250);

  /* Over a colour: the same picture in every format. */
  params.background.color = grey;
  image = image_of(TS_FORMAT_RGB_F32, rgb);
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  image = image_of(TS_FORMAT_RGBA8, rgba8);
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  image = image_of(TS_FORMAT_RGB8, rgb8);
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  image = image_of(TS_FORMAT_NV12, nv12);
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  memset(padded, 77, sizeof padded);
  image = image_of(TS_FORMAT_RGB8, padded);
  image.stride_bytes = sizeof padded[0];
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  for (y = 0; y < HEIGHT; ++y) {
    for (x = 0; x < WIDTH; ++x) {
      const float* p = rgb[y][x];
      const float luma = 16 + 219 * (0.2126f * p[0] + 0.7152f * p[1] + 0.0722f * p[2]);
      for (c = 0; c < 3; ++c) {
        wrong += !near(rgb8[y][x][c], 255 * p[c], 0.51f);
        wrong += rgba8[y][x][c] != rgb8[y][x][c] || padded[y][x * 3 + c] != rgb8[y][x][c];
      }
      wrong += rgba8[y][x][3] != 255;
      wrong += !near(nv12[y][x], luma, 1.5f);
    }
    for (x = WIDTH * 3; x < (int)sizeof padded[0]; ++x) wrong += padded[y][x] != 77;
  }
  for (y = 0; y < 2; ++y) wrong += nv12[HEIGHT][2 * y] != 128; /* grey has no chroma */
  CHECK(wrong == 0);

  /* A picture of one colour is that colour. */
  for (x = 0; x < HEIGHT * WIDTH * 3; ++x) picture[x] = 0.5f;
  params.background.color = NULL;
  params.background.image_f32 = picture;
  image = image_of(TS_FORMAT_RGB8, padded);
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  CHECK(memcmp(padded, rgb8, sizeof rgb8) == 0);
}

static void test_precision_and_sh(ts_engine* engine) {
  static float reference[HEIGHT * WIDTH * 3], other[HEIGHT * WIDTH * 3];
  float sh[N * 4 * 3];
  float worst = 0;
  int i, c;
  ts_rasterize_params params = scene();
  ts_image image = image_of(TS_FORMAT_RGB_F32, reference);
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  image.data = other;
  params.precision = TS_PRECISION_FAST;
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  for (i = 0; i < HEIGHT * WIDTH * 3; ++i) worst = fmaxf(worst, fabsf(reference[i] - other[i]));
  CHECK(worst <= 1.5f / 255);
  params.precision = TS_PRECISION_DEFAULT; /* no deform network here: the reference's picture */
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  CHECK(memcmp(reference, other, sizeof reference) == 0);
  params.precision = (ts_precision)3;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT,
              "precision must be one of ts_precision");

  /* Constant harmonics of the same colours; three more are stored than used. */
  memset(sh, 0, sizeof sh);
  for (i = 0; i < N; ++i)
    for (c = 0; c < 3; ++c) sh[(i * 4) * 3 + c] = (color[i * 3 + c] - 0.5f) / 0.28209479f;
  params = scene();
  params.color = sh;
  params.sh_degree = 0;
  params.sh_stride = 4;
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  for (i = 0, worst = 0; i < HEIGHT * WIDTH * 3; ++i) worst = fmaxf(worst, fabsf(reference[i] - other[i]));
  CHECK(worst <= 1e-5f);
}

static void test_rasterize_errors(ts_engine* engine) {
  static float pixels[HEIGHT * WIDTH * 4];
  ts_receipt receipt;
  ts_rasterize_params params = scene();
  ts_image image = image_of(TS_FORMAT_RGB_F32, pixels);
  CHECK_ERROR(ts_rasterize(NULL, &params, &image, NULL), TS_INVALID_ARGUMENT, "engine");
  CHECK_ERROR(ts_rasterize(engine, NULL, &image, NULL), TS_INVALID_ARGUMENT, "params");
  CHECK_ERROR(ts_rasterize(engine, &params, NULL, NULL), TS_INVALID_ARGUMENT, "image");
  params.n = -1;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "-1");
  params = scene();
  params.quat = NULL;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "quat");
  params = scene();
  params.sh_degree = 4;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "sh_degree");
  params = scene();
  params.sh_degree = 1;
  params.sh_stride = 3;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "sh_stride");
  params = scene();
  params.camera.fx = 0;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "fx");
  params = scene();
  params.struct_size = 0;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "struct_size");
  params = scene();
  params.background.color = params.background.image_f32 = pixels;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "background");
  params = scene();
  image.width = 0;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "width");
  image = image_of(TS_FORMAT_RGB_F32, NULL);
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "data");
  image = image_of(TS_FORMAT_RGB_F32, pixels);
  image.stride_bytes = 8;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "stride");
  image.stride_bytes = 12 * WIDTH + 2;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "a multiple of 4, for RGB_F32");
  image = image_of(TS_FORMAT_NV12, pixels);
  image.height = HEIGHT - 1;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "even");
  image = image_of((ts_format)9, pixels);
  CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "format");
  image = image_of(TS_FORMAT_RGB_F32, pixels);
  pixels[0] = 7;
  receipt.struct_size = 0;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, &receipt), TS_INVALID_ARGUMENT, "struct_size");
  CHECK(pixels[0] == 7);                                       /* nothing was drawn */
  CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK); /* errors leave the engine usable */
  CHECK(pixels[0] == 0);
}

/* Sizes of other versions' structs: at a field's beginning. Others would cut a pointer in two. */
static void test_struct_sizes(ts_engine* engine) {
  static float pixels[HEIGHT * WIDTH * 4];
  static const uint32_t known[] = {4, 8, 12, 16, 24, 32, 40, 48};
  _Alignas(ts_image) char room[sizeof(ts_image) + 64];
  ts_rasterize_params params = scene();
  ts_image image = image_of(TS_FORMAT_RGB_F32, pixels);
  ts_receipt receipt;
  uint32_t size, k, n_known = 0;
  CHECK(sizeof(ts_image) == 48); /* else `known` is of another machine */
  for (size = 0; size < sizeof room; ++size) {
    int is_known = 0;
    for (k = 0; k < sizeof known / sizeof *known; ++k) is_known |= known[k] == size;
    n_known += (uint32_t)is_known;
    memset(room, 0x55, sizeof room); /* what lies behind an older struct is anything */
    image.struct_size = size;
    memcpy(room, &image, sizeof image);
    memset(room + (size < sizeof image ? size : sizeof image), 0x55, size < sizeof image ? sizeof image - size : 0);
    memcpy(room, &size, sizeof size);
    if (!is_known)
      CHECK_ERROR(ts_rasterize(engine, &params, (const ts_image*)(const void*)room, NULL), TS_INVALID_ARGUMENT,
                  "struct_size must be sizeof the struct, 48 here");
    else if (size >= 32)
      CHECK(ts_rasterize(engine, &params, (const ts_image*)(const void*)room, NULL) == TS_OK);
    else
      CHECK_ERROR(ts_rasterize(engine, &params, (const ts_image*)(const void*)room, NULL), TS_INVALID_ARGUMENT,
                  "image: ");
  }
  CHECK(n_known == sizeof known / sizeof *known);
  image = image_of(TS_FORMAT_RGB_F32, pixels);
  for (size = 0; size <= sizeof params + 8; ++size) {
    params.struct_size = size;
    if (size % 4 != 0 || size > sizeof params)
      CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, "struct_size");
  }
  params = scene();
  receipt.struct_size = sizeof receipt + 8;
  CHECK_ERROR(ts_rasterize(engine, &params, &image, &receipt), TS_INVALID_ARGUMENT, "newer talksplat.h");
}

static void test_background_errors(ts_engine* engine) {
  static float pixels[HEIGHT * WIDTH * 3];
  const float bad[3] = {NAN, INFINITY, -INFINITY};
  float grey[3] = {0.5f, 0.5f, 0.5f};
  int i;
  ts_rasterize_params params = scene();
  ts_image image = image_of(TS_FORMAT_RGB_F32, pixels);
  params.background.color = grey;
  for (i = 0; i < 3; ++i) {
    char part[64];
    snprintf(part, sizeof part, "background: color must be finite; number %d is", i);
    grey[i] = bad[i];
    CHECK_ERROR(ts_rasterize(engine, &params, &image, NULL), TS_INVALID_ARGUMENT, part);
    grey[i] = 0.5f;
    CHECK(ts_rasterize(engine, &params, &image, NULL) == TS_OK);
  }
}

static void test_load_errors(ts_engine* engine) {
  ts_avatar* avatar = NULL;
  CHECK_ERROR(ts_avatar_load(engine, "there is no such file.tsplat", &avatar), TS_AVATAR_NOT_FOUND, "no such file");
  CHECK_ERROR(ts_avatar_load(engine, NULL, &avatar), TS_INVALID_ARGUMENT, "path");
  CHECK_ERROR(ts_avatar_load(NULL, "x", &avatar), TS_INVALID_ARGUMENT, "engine");
  CHECK_ERROR(ts_avatar_load(engine, "x", NULL), TS_INVALID_ARGUMENT, "avatar");
  CHECK(avatar == NULL);
  ts_avatar_destroy(NULL);
}

/* Where the input has an element of this name; its size when it has none. */
static uint32_t find_element(const ts_input_info* input, const char* name) {
  uint32_t i = 0;
  while (i < input->size && strcmp(input->element_names[i], name) != 0) ++i;
  return i;
}

static void test_inputs(const ts_avatar* avatar, const ts_avatar_info* info) {
  ts_input_info input;
  ts_input_info found;
  uint32_t i, k, named = 0, floats = 0;
  memset(&input, 0, sizeof input);
  input.struct_size = sizeof input;
  for (i = 0; i < info->n_inputs; ++i) {
    CHECK(ts_avatar_get_input(avatar, i, &input) == TS_OK);
    CHECK(input.offset == floats);
    floats += input.size;
    memset(&found, 0, sizeof found);
    found.struct_size = sizeof found;
    CHECK(ts_avatar_find_input(avatar, input.name, &found) == TS_OK && memcmp(&found, &input, sizeof found) == 0);
    CHECK(strlen(input.name) > 0 && input.size > 0);
    for (k = 0; k < input.size; ++k) CHECK(isfinite(input.default_value[k]));
    if (!input.element_names) continue;
    ++named;
    for (k = 0; k < input.size; ++k) CHECK(find_element(&input, input.element_names[k]) == k);
    CHECK(find_element(&input, "no such element") == input.size);
    if (strcmp(info->name, "sample") == 0) CHECK(find_element(&input, "frown") == 1);
  }
  CHECK(info->n_blendshapes == 0 || named > 0);
  CHECK(floats == info->n_control);
  CHECK_ERROR(ts_avatar_find_input(avatar, "nose", &input), TS_INVALID_ARGUMENT,
              "ts_avatar_find_input: \"nose\" is not an input");

  /* A program built before there were element names has no room for them. */
  CHECK(info->n_inputs > 0);
  input.element_names = &info->name;
  input.struct_size = offsetof(ts_input_info, element_names);
  CHECK(ts_avatar_get_input(avatar, 0, &input) == TS_OK);
  CHECK(input.element_names == &info->name && input.struct_size == offsetof(ts_input_info, element_names));
  CHECK_ERROR(ts_avatar_get_input(avatar, info->n_inputs, &input), TS_INVALID_ARGUMENT, "index");
}

static void test_tensors(const ts_avatar* avatar, const ts_avatar_info* info) {
  ts_tensor tensor;
  uint32_t i, found = 0;
  memset(&tensor, 0, sizeof tensor);
  tensor.struct_size = sizeof tensor;
  for (i = 0; i < ts_avatar_tensor_count(avatar); ++i) {
    CHECK(ts_avatar_get_tensor(avatar, i, &tensor) == TS_OK);
    if (strcmp(tensor.name, "gaussians/mean") == 0) {
      ++found;
      CHECK(tensor.dtype == TS_F32 && tensor.ndim == 2);
      CHECK(tensor.shape[0] == (int64_t)info->n_gaussians && tensor.shape[1] == 3);
      CHECK(info->n_gaussians == 0 || tensor.data != NULL);
    }
  }
  CHECK(found == 1);
  CHECK_ERROR(ts_avatar_get_tensor(avatar, ts_avatar_tensor_count(avatar), &tensor), TS_INVALID_ARGUMENT, "index");
}

/* What ts_frame_gaussians gives and ts_rasterize draws is what ts_frame_render draws. */
static void test_render(ts_engine* engine, ts_frame* frame, const ts_avatar_info* info) {
  const size_t n = info->n_source,
               coefficients = info->sh_degree < 0 ? 1 : (size_t)((info->sh_degree + 1) * (info->sh_degree + 1));
  float* rows = malloc((n + 1) * (3 + 4 + 3 + 1 + 3 * coefficients) * sizeof(float));
  float* vertices = malloc(((size_t)info->n_vertices + 1) * 3 * sizeof(float));
  static float rendered[HEIGHT * WIDTH * 3], drawn[HEIGHT * WIDTH * 3];
  const ts_background nothing = {NULL, NULL};
  const float fire[3] = {1, 0.5f, NAN};
  const ts_background burning = {fire, NULL};
  ts_render_params params = ts_render_params_default();
  ts_rasterize_params raster = scene();
  ts_image image = image_of(TS_FORMAT_RGB_F32, rendered);
  ts_receipt receipt;
  ts_gaussians out;
  float* control = malloc((info->n_control + 1) * sizeof(float));
  float worst = 0;
  size_t i;
  memset(&out, 0, sizeof out);
  out.struct_size = sizeof out;
  out.n = (int64_t)n;
  out.mean_w = rows;
  out.quat = out.mean_w + 3 * n;
  out.scale = out.quat + 4 * n;
  out.opacity = out.scale + 3 * n;
  out.color = out.opacity + n;
  memset(&receipt, 0, sizeof receipt);
  receipt.struct_size = sizeof receipt;

  CHECK(ts_frame_gaussians(frame, NULL, &out) == TS_OK);
  raster.n = (int64_t)n;
  raster.mean_w = out.mean_w;
  raster.quat = out.quat;
  raster.scale = out.scale;
  raster.opacity = out.opacity;
  raster.color = out.color;
  raster.sh_degree = info->sh_degree;
  raster.sh_stride = (int32_t)coefficients;
  raster.camera.cam_from_world[11] = 3; /* from the front of whatever it is */
  params.camera = &raster.camera;
  params.background = &nothing;
  CHECK(ts_frame_render(frame, &params, &image, &receipt) == TS_OK);
  CHECK(receipt.n_gaussians == info->n_gaussians);
  image.data = drawn;
  CHECK(ts_rasterize(engine, &raster, &image, NULL) == TS_OK);
  for (i = 0; i < HEIGHT * WIDTH * 3; ++i) worst = fmaxf(worst, fabsf(rendered[i] - drawn[i]));
  CHECK(worst <= 1e-4f);

  params = ts_render_params_default(); /* its own camera and background */
  CHECK(params.struct_size == sizeof params);
  CHECK(ts_frame_render(frame, &params, &image, NULL) == TS_OK);
  params.background = &burning;
  CHECK_ERROR(ts_frame_render(frame, &params, &image, NULL), TS_INVALID_ARGUMENT, "background: color");
  params.background = NULL;
  CHECK(ts_frame_vertices(frame, NULL, vertices, info->n_vertices) == TS_OK);
  for (i = 0; i < (size_t)info->n_vertices * 3; ++i) {
    if (!isfinite(vertices[i])) break;
  }
  CHECK(i == (size_t)info->n_vertices * 3);

  for (i = 0; i < info->n_control; ++i) control[i] = 0;
  params.control = control;
  CHECK(ts_frame_render(frame, &params, &image, NULL) == TS_OK);
  control[0] = NAN;
  CHECK_ERROR(ts_frame_render(frame, &params, &image, NULL), TS_INVALID_ARGUMENT, "must be finite; number 0 is nan");
  CHECK_ERROR(ts_frame_vertices(frame, control, vertices, info->n_vertices), TS_INVALID_ARGUMENT, "must be finite");
  /* Sizes are asked about before the control is. */
  CHECK_ERROR(ts_frame_vertices(frame, control, vertices, info->n_vertices + 1), TS_INVALID_ARGUMENT, "n_vertices");
  out.n += 1;
  CHECK_ERROR(ts_frame_gaussians(frame, control, &out), TS_INVALID_ARGUMENT, "n_source");
  params = ts_render_params_default();
  receipt.struct_size = 5000;
  rendered[0] = -7;
  image.data = rendered;
  CHECK_ERROR(ts_frame_render(frame, &params, &image, &receipt), TS_INVALID_ARGUMENT, "struct_size");
  CHECK(rendered[0] == -7); /* nothing was drawn */
  image.width = WIDTH / 2;
  CHECK_ERROR(ts_frame_render(frame, &params, &image, NULL), TS_INVALID_ARGUMENT, "must be those of the frame");
  free(control);
  free(rows);
  free(vertices);
}

static void test_frames(ts_engine* engine, ts_avatar* avatar, const ts_avatar_info* info) {
  ts_frame* frame = NULL;
  ts_frame_params params = ts_frame_params_default();
  ts_frame_info about;
  memset(&about, 0, sizeof about);
  about.struct_size = sizeof about;
  CHECK(params.struct_size == sizeof params && params.format == TS_FORMAT_RGBA8);
  CHECK(ts_frame_create(avatar, NULL, &frame) == TS_OK);
  CHECK(ts_frame_get_info(frame, &about) == TS_OK);
  CHECK(about.width == info->width && about.height == info->height && about.format == TS_FORMAT_RGBA8);
  CHECK(about.precision == TS_PRECISION_DEFAULT && about.bytes > 0);
  ts_frame_destroy(frame);
  frame = NULL;
  CHECK_ERROR(ts_frame_create(NULL, NULL, &frame), TS_INVALID_ARGUMENT, "avatar");
  CHECK_ERROR(ts_frame_create(avatar, NULL, NULL), TS_INVALID_ARGUMENT, "frame");
  params.width = WIDTH;
  CHECK_ERROR(ts_frame_create(avatar, &params, &frame), TS_INVALID_ARGUMENT, "width and height must be in 1..16384");
  params.height = TS_MAX_SIDE + 1;
  CHECK_ERROR(ts_frame_create(avatar, &params, &frame), TS_INVALID_ARGUMENT, "got 40x16385");
  params.height = HEIGHT;
  params.format = (ts_format)4;
  CHECK_ERROR(ts_frame_create(avatar, &params, &frame), TS_INVALID_ARGUMENT, "format must be one of ts_format");
  params.format = TS_FORMAT_RGB_F32;
  params.precision = (ts_precision)3;
  CHECK_ERROR(ts_frame_create(avatar, &params, &frame), TS_INVALID_ARGUMENT, "or 2 (default); got 3");
  params.precision = (ts_precision)-1;
  CHECK_ERROR(ts_frame_create(avatar, &params, &frame), TS_INVALID_ARGUMENT, "precision must be one of ts_precision");
  CHECK(frame == NULL);
  params.struct_size = offsetof(ts_frame_params, precision); /* an older header's: the default */
  CHECK(ts_frame_create(avatar, &params, &frame) == TS_OK);
  CHECK(ts_frame_get_info(frame, &about) == TS_OK && about.precision == TS_PRECISION_DEFAULT);
  ts_frame_destroy(frame);
  frame = NULL;
  params.struct_size = sizeof params;
  params.precision = TS_PRECISION_REFERENCE;
  CHECK(ts_frame_create(avatar, &params, &frame) == TS_OK);
  if (frame) test_render(engine, frame, info);
  ts_frame_destroy(frame);
  ts_frame_destroy(NULL);
}

/* Each handle keeps what it was made from: any order of destroying them is right. */
static void test_lifetimes(const char* path) {
  static float pixels[HEIGHT * WIDTH * 3];
  ts_engine* engine = NULL;
  ts_avatar* avatar = NULL;
  ts_frame* frame = NULL;
  ts_frame_params params = ts_frame_params_default();
  ts_image image = image_of(TS_FORMAT_RGB_F32, pixels);
  params.width = WIDTH;
  params.height = HEIGHT;
  params.format = TS_FORMAT_RGB_F32;
  CHECK(ts_engine_create(NULL, &engine) == TS_OK);
  CHECK(ts_avatar_load(engine, path, &avatar) == TS_OK);
  ts_engine_destroy(engine);
  CHECK(ts_frame_create(avatar, &params, &frame) == TS_OK);
  ts_avatar_destroy(avatar);
  CHECK(ts_frame_render(frame, NULL, &image, NULL) == TS_OK);
  ts_frame_destroy(frame);
}

static void test_avatar(ts_engine* engine, const char* path) {
  ts_avatar* avatar = NULL;
  ts_avatar_info info;
  CHECK(ts_avatar_load(engine, path, &avatar) == TS_OK);
  if (!avatar) return;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  CHECK(ts_avatar_get_info(avatar, &info) == TS_OK);
  CHECK(info.manifest[0] == '{' && strstr(info.manifest, "\"format\"") != NULL);
  CHECK(info.width > 0 && info.height > 0 && info.fps > 0);
  CHECK(info.name[0] != '\0' && strstr(info.manifest, info.name) != NULL);
  CHECK(info.camera.fx > 0 && info.camera.fy > 0 && info.camera.near_plane > 0 && info.camera.cam_from_world[15] == 1);
  CHECK(info.n_source >= info.n_gaussians && info.file_bytes > 0);
  test_inputs(avatar, &info);
  test_tensors(avatar, &info);
  test_frames(engine, avatar, &info);
  ts_avatar_destroy(avatar);
  test_lifetimes(path);
}

int main(int argc, char** argv) {
  ts_engine* engine = NULL;
  ts_engine_params params = ts_engine_params_default();
  params.threads = 2;
  test_versions();
  test_clock();
  test_engine();
  CHECK(ts_engine_create(&params, &engine) == TS_OK);
  if (engine) {
    test_formats(engine);
    test_precision_and_sh(engine);
    test_rasterize_errors(engine);
    test_struct_sizes(engine);
    test_background_errors(engine);
    test_load_errors(engine);
    if (argc > 1) test_avatar(engine, argv[1]);
  }
  ts_engine_destroy(engine);
  return report("test_capi");
}
