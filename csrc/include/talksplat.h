/* talksplat C ABI — the only installed header.
 *
 * Conventions (csrc/CONVENTIONS.md has them all): row-major matrices, quaternions wxyz, camera axes
 * x right, y down, z forward (OpenCV), pixel centres at +0.5, colours in the values they were trained in,
 * straight alpha at this surface. Sizes are counts of elements unless a name says otherwise.
 *
 * Calls that can fail return a ts_status. On failure ts_last_error() has a message for the calling thread that names
 * the argument, the contract, the value and the way out. Parameter structs carry struct_size first: set it to sizeof
 * the struct (the ts_*_default functions do), so that programs built against an older header keep working; a size that
 * no header had is refused. Structs
 * without it (ts_camera, ts_background, ts_control) do not change within an ABI version.
 *
 * Limits: images of 1..16384 pixels a side; fewer than 2^24 Gaussians. Pointers are aligned to their element. Pictures
 * and alpha and depth planes are packed; only ts_image.data has a stride. A frame whose (Gaussian, tile) pairs would
 * take more than 2 GiB of scratch memory is refused (TS_OUT_OF_MEMORY); real heads stay far below.
 *
 * fork: a child of fork() has none of the threads of the parent's engines. There, calls on such an engine or on its
 * avatars return TS_DEVICE_ERROR, whatever a frame was doing at that moment, or only say what they know (get_info of an
 * avatar); ts_engine_destroy returns and leaves the memory to the end of the process. Make an engine in the child. A
 * ts_voice may be used on, and a ts_speech that no thread was using.
 *
 * Threads: one ts_engine may be used from several threads; frames on it are rendered one at a time. Destroy an
 * engine only after its avatars.
 */
#ifndef TALKSPLAT_H
#define TALKSPLAT_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(_WIN32)
#define TS_API __declspec(dllexport)
#else
#define TS_API __attribute__((visibility("default")))
#endif

#define TS_ABI_VERSION 1

typedef enum ts_status {
  TS_OK = 0,
  TS_INVALID_ARGUMENT = 1,
  TS_AVATAR_NOT_FOUND = 2,
  TS_AVATAR_INVALID = 3,
  TS_DEVICE_ERROR = 4,
  TS_OUT_OF_MEMORY = 5,
  TS_INTERNAL = 6,
  TS_VOICE_NOT_FOUND = 7,
  TS_VOICE_INVALID = 8,
  TS_AUDIO_INVALID = 9
} ts_status;

typedef enum ts_precision {
  TS_PRECISION_REFERENCE = 0, /* the image that avatars were trained with: within 2e-5 of float64 */
  TS_PRECISION_FAST = 1       /* within 1.5/255 of float64 */
} ts_precision;

typedef enum ts_format {
  TS_FORMAT_RGB_F32 = 0, /* [height,width,3] float32, not clamped */
  TS_FORMAT_RGBA8 = 1,   /* [height,width,4]; alpha is 255 over a background, else straight coverage */
  TS_FORMAT_RGB8 = 2,    /* [height,width,3] */
  TS_FORMAT_NV12 = 3     /* [height*3/2,width], BT.709 limited range; height and width even */
} ts_format;

typedef struct ts_engine ts_engine;
typedef struct ts_avatar ts_avatar;

TS_API uint32_t ts_abi_version(void);
TS_API const char* ts_version(void); /* "0.1.0" */
TS_API const char* ts_status_name(ts_status status);
TS_API const char* ts_last_error(void);     /* of the calling thread; "" when there was none */
TS_API uint32_t ts_isa_count(void);         /* instruction sets that this CPU and this build have, slowest first */
TS_API const char* ts_isa_name(uint32_t i); /* "scalar", "avx2", "avx512", "neon"; NULL past the end */

/* ---- engine: threads and scratch memory ---- */

typedef struct ts_engine_params {
  uint32_t struct_size;
  uint32_t threads;       /* 0: one per CPU that this process may run on */
  ts_precision precision; /* of the frames of its avatars */
  const char* isa;        /* NULL: TALKSPLAT_ISA if set, else the widest that the CPU has */
} ts_engine_params;

typedef struct ts_engine_info {
  uint32_t struct_size;
  uint32_t threads;
  const char* isa;
  uint64_t scratch_bytes; /* high-water mark of the scratch memory */
} ts_engine_info;

static inline ts_engine_params ts_engine_params_default(void) {
  ts_engine_params params = {sizeof(ts_engine_params), 0, TS_PRECISION_REFERENCE, NULL};
  return params;
}
TS_API ts_status ts_engine_create(const ts_engine_params* params, ts_engine** engine);
TS_API void ts_engine_destroy(ts_engine* engine);
TS_API ts_status ts_engine_get_info(const ts_engine* engine, ts_engine_info* info);

/* ---- images ---- */

typedef struct ts_image {
  uint32_t struct_size;
  ts_format format;
  uint32_t width, height;
  int64_t stride_bytes; /* of a row (of both planes for NV12); 0: tightly packed */
  void* data;           /* caller's memory */
  float* alpha;         /* [height,width] accumulated weight; NULL: not wanted */
  float* depth;         /* [height,width] sum of weight * camera depth; NULL: not wanted */
} ts_image;

typedef struct ts_background {
  /* at most one of: nothing (both NULL), one colour, a picture of the image's size */
  const float* color;     /* [3] finite */
  const float* image_f32; /* [height,width,3]; not searched for NaN, which is 0 in the 8-bit formats */
} ts_background;

typedef struct ts_camera {
  float cam_from_world[16]; /* row-major 4x4, last row 0 0 0 1 */
  float fx, fy, cx, cy;     /* pixels; cx = width / 2 is the middle */
  float near_plane;         /* Gaussians at camera depth <= this are culled; 0.2 in the reference */
} ts_camera;

/* Microseconds of the last frame, by stage. */
typedef struct ts_receipt {
  uint32_t struct_size;
  float pose_us, deform_us, project_us, bin_us, blend_us, total_us; /* project includes the tile spans, bin the depth
                                                                   sort, blend the finish */
  uint32_t n_gaussians, n_visible;
  uint64_t n_instances; /* (Gaussian, tile) pairs */
} ts_receipt;

/* ---- rasterise: Gaussians to an image, no avatar ---- */

typedef struct ts_rasterize_params {
  uint32_t struct_size;
  int64_t n;
  const float* mean_w;  /* [n,3] */
  const float* quat;    /* [n,4] wxyz; normalised inside */
  const float* scale;   /* [n,3] standard deviations */
  const float* opacity; /* [n] in [0,1] */
  const float* color;   /* [n,3] RGB when sh_degree < 0, else [n,sh_stride,3] SH coefficients */
  int32_t sh_degree;    /* -1: color is RGB; 0..3 */
  int32_t sh_stride;    /* coefficients stored per Gaussian, >= (sh_degree+1)^2; ignored for RGB */
  ts_camera camera;
  ts_background background;
  float dilation; /* added to the diagonal of the 2-D covariance, px^2; 0.3 in the reference */
  ts_precision precision;
} ts_rasterize_params;

static inline ts_rasterize_params ts_rasterize_params_default(void) {
  ts_rasterize_params params = {sizeof(ts_rasterize_params),
                                0,
                                NULL,
                                NULL,
                                NULL,
                                NULL,
                                NULL,
                                -1,
                                0,
                                {{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1}, 0, 0, 0, 0, 0.2f},
                                {NULL, NULL},
                                0.3f,
                                TS_PRECISION_REFERENCE};
  return params;
}
/* Non-finite Gaussians are skipped. receipt may be NULL. */
TS_API ts_status ts_rasterize(ts_engine* engine, const ts_rasterize_params* params, const ts_image* image,
                              ts_receipt* receipt);

/* ---- avatar ---- */

/* What drives it: one entry per manifest input, in manifest order. Pointers live as long as the avatar. */
typedef struct ts_input_info {
  uint32_t struct_size;
  const char* name;
  uint32_t size;                    /* floats */
  const float* default_value;       /* [size] */
  const char* const* element_names; /* [size] for blendshape inputs ("jawOpen"), else NULL */
} ts_input_info;

typedef struct ts_avatar_info {
  uint32_t struct_size;
  const char* manifest; /* JSON, NUL-terminated; lives as long as the avatar */
  uint32_t n_gaussians; /* rows in the file */
  uint32_t n_source;    /* rows in the file it was imported from */
  uint32_t n_vertices, n_triangles, n_joints, n_blendshapes, n_inputs;
  int32_t sh_degree;      /* -1: RGB */
  uint32_t width, height; /* of the canvas */
  float fps;
  uint64_t file_bytes, resident_bytes;
  const char* name; /* lives as long as the avatar */
  ts_camera camera; /* of the canvas */
} ts_avatar_info;

typedef enum ts_dtype { TS_F32 = 0, TS_U8 = 1, TS_U16 = 2, TS_U32 = 3, TS_I32 = 4 } ts_dtype;

/* A tensor of the file, memory-mapped; lives as long as the avatar. */
typedef struct ts_tensor {
  uint32_t struct_size;
  const char* name;
  ts_dtype dtype;
  uint32_t ndim;
  int64_t shape[4];
  const void* data;
} ts_tensor;

/* Replace an avatar's file by rename, never in place, while it is loaded. */
TS_API ts_status ts_avatar_load(ts_engine* engine, const char* path, ts_avatar** avatar);
TS_API void ts_avatar_destroy(ts_avatar* avatar);
TS_API ts_status ts_avatar_get_info(const ts_avatar* avatar, ts_avatar_info* info);
TS_API ts_status ts_avatar_get_input(const ts_avatar* avatar, uint32_t index, ts_input_info* info);
TS_API uint32_t ts_avatar_tensor_count(const ts_avatar* avatar);
TS_API ts_status ts_avatar_get_tensor(const ts_avatar* avatar, uint32_t index, ts_tensor* tensor);

/* One input of this frame; inputs that are not given take their defaults. */
typedef struct ts_control {
  const char* name;
  const float* data;
  uint32_t size; /* must equal the input's size */
} ts_control;

typedef struct ts_render_params {
  uint32_t struct_size;
  const ts_control* controls;
  uint32_t n_controls;
  const ts_camera* camera;         /* NULL: the avatar's, scaled to the image's height and centred */
  const ts_background* background; /* NULL: the avatar's own (colour, or plate scaled as the camera);
                                    for none, point to an empty one */
} ts_render_params;

static inline ts_render_params ts_render_params_default(void) {
  ts_render_params params = {sizeof(ts_render_params), NULL, 0, NULL, NULL};
  return params;
}
TS_API ts_status ts_avatar_render(ts_avatar* avatar, const ts_render_params* params, const ts_image* image,
                                  ts_receipt* receipt);

/* Activated Gaussians after pose and deform, in the source file's order; pruned rows have opacity 0.
 * Any pointer may be NULL. color is [n_source,3], or [n_source,(sh_degree+1)^2,3] where sh_degree >= 0. */
typedef struct ts_gaussians {
  uint32_t struct_size;
  int64_t n; /* must equal n_source */
  float *mean_w, *quat, *scale, *opacity, *color;
} ts_gaussians;

TS_API ts_status ts_avatar_gaussians(ts_avatar* avatar, const ts_control* controls, uint32_t n_controls,
                                     ts_gaussians* out);

/* The posed mesh, [n_vertices,3]. */
TS_API ts_status ts_avatar_vertices(ts_avatar* avatar, const ts_control* controls, uint32_t n_controls, float* vertices,
                                    int64_t n_vertices);

/* ---- voice: speech to the motion of a face ----
 *
 * A ts_voice is a trained network and may be shared; a ts_speech is one speaker's stream, for one thread at a time.
 * Frame k is the face at k / fps seconds of the audio, and needs the audio up to look_ahead later: push, then read
 * whatever is ready. How the audio is cut into pushes changes nothing, bit for bit.
 */
typedef struct ts_voice ts_voice;
typedef struct ts_speech ts_speech;

typedef struct ts_voice_info {
  uint32_t struct_size;
  const char* manifest; /* JSON, NUL-terminated; lives as long as the voice, as do the names */
  double look_ahead_s; /* of a frame, all told: network and drive. At other rates than 16 kHz its filter adds 16 samples
                           of the lower rate: 1 ms, 2 ms at 8 kHz */
  uint32_t n_channels; /* what the network says; channel_names in its order */
  const char* const* channel_names;
  uint32_t n_features;
  uint32_t n_weights; /* 52: the ARKit weights of a face; weight_names in their order */
  const char* const* weight_names;
  uint64_t n_parameters, file_bytes;
} ts_voice_info;

TS_API ts_status ts_voice_load(const char* path, ts_voice** voice);
TS_API void ts_voice_destroy(ts_voice* voice); /* streams made from it keep what they need */
TS_API ts_status ts_voice_get_info(const ts_voice* voice, ts_voice_info* info);

typedef enum ts_sample_format { TS_SAMPLE_F32 = 0, TS_SAMPLE_S16 = 1 } ts_sample_format;

typedef struct ts_speech_params {
  uint32_t struct_size;
  uint32_t rate_hz;  /* of the audio: 8000..192000 */
  uint32_t channels; /* 1..8, interleaved; their mean is heard */
  double fps;        /* of the faces: 20..60 */
  uint64_t seed;     /* of blinks, gaze and head motion */
  float mouth;       /* gain of the mouth's opening and shapes, 0..2; closures stay closed */
  float head;        /* amount of head motion, 0..2; 0: none */
  float blink;       /* blinks relative to a usual rate, 0..2; 0: no blinks and no gaze */
  const char* isa;   /* as in ts_engine_params */
} ts_speech_params;

static inline ts_speech_params ts_speech_params_default(void) {
  ts_speech_params params = {sizeof(ts_speech_params), 16000, 1, 25.0, 0, 1.0f, 1.0f, 1.0f, NULL};
  return params;
}
TS_API ts_status ts_speech_create(const ts_voice* voice, const ts_speech_params* params, ts_speech** speech);
TS_API void ts_speech_destroy(ts_speech* speech);

/* n samples of every channel, all of them or, on failure, none. TS_AUDIO_INVALID for numbers that are not finite or
 * beyond +-8 (full scale is 1). Frames wait in memory until they are read, 4 (56 + n_channels + n_features) bytes each.
 */
TS_API ts_status ts_speech_push(ts_speech* speech, ts_sample_format format, const void* samples, int64_t n);
/* The audio ends here: frames to its last sample become ready. ts_speech_reset begins a new utterance, at time 0. */
TS_API ts_status ts_speech_finish(ts_speech* speech);
TS_API ts_status ts_speech_reset(ts_speech* speech);

/* Frames to be filled; any pointer may be NULL. */
typedef struct ts_faces {
  uint32_t struct_size;
  float* weight;    /* [max_frames,n_weights] ARKit weights, 0..1 */
  float* head_pose; /* [max_frames,3] axis-angle, radians, in ARKit's axes: x to the face's left, y up, z forward */
  float* voice;     /* [max_frames] how surely someone speaks, 0..1 */
  float* channel;   /* [max_frames,n_channels] the network's own words, before drive */
  float* feature;   /* [max_frames,n_features] */
} ts_faces;

/* Takes the next frames, as many as are ready and fit; *n_frames says how many. */
TS_API ts_status ts_speech_read(ts_speech* speech, const ts_faces* faces, int64_t max_frames, int64_t* n_frames);
TS_API int64_t ts_speech_ready(const ts_speech* speech); /* frames that can be read now */

#ifdef __cplusplus
}
#endif
#endif
