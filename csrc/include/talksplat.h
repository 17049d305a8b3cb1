/* SPDX-License-Identifier: Apache-2.0 */
/* talksplat C ABI — the header that programs include.
 *
 * From a sound to a picture: a ts_engine is a device; a ts_avatar is a head on it, constant and shared; a ts_frame is
 * the memory in which one caller draws it; a ts_voice is a trained network, a ts_speech one speaker's stream through
 * it; a ts_session is all of it for a live speaker: sound in as it comes, frames out on time. A control is the vector of
 * floats that drives an avatar: ts_speech_read_control gives one per frame, ts_avatar_retarget makes one of a face, and
 * ts_frame_render draws it.
 *
 * Conventions (csrc/CONVENTIONS.md has them all): row-major matrices, quaternions wxyz, camera axes
 * x right, y down, z forward (OpenCV), pixel centres at +0.5, colours in the values they were trained in,
 * straight alpha at this surface. Sizes are counts of elements unless a name says otherwise.
 *
 * Calls that can fail return a ts_status. On failure ts_last_error() has a message for the calling thread that names
 * the argument, the contract, the value and the way out. Parameter structs carry struct_size first: set it to sizeof
 * the struct (the ts_*_default functions do), so that programs built against an older header keep working. Taken is sizeof
 * the struct as the library knows it, or where one of its fields begins; fields from there on have their defaults. Any
 * other size is refused, that of a newer header among them. Within an ABI version such structs grow by fields after the
 * old sizeof: padding at the end is not used, for no caller sets it. Structs without struct_size (ts_camera,
 * ts_background) do not change within an ABI version.
 *
 * Pointers must not be NULL unless "Nullable" says what NULL means; a pointer to nothing (n = 0) may be anything.
 * Destroying NULL does nothing. Pointers are aligned to their element. Pictures and alpha and depth planes are packed;
 * only ts_image.data has a stride.
 *
 * Lifetimes: handles may be destroyed in any order. Each keeps what it was made from: an avatar its engine, a frame its
 * avatar, a speech its voice and its engine, a session its avatar and its voice. What a get_info call points to lives as
 * long as the handle that was asked.
 *
 * Threads: engines, avatars, voices and sessions may be used from several threads at once. A frame, a speech or a
 * listener is used by one thread at a time; give every thread its own. Frames of one engine take turns on its threads,
 * and on nothing else.
 *
 * fork: a child of fork() has none of the threads of the parent's engines. There, ts_engine_get_info, what draws, loads
 * or makes something on such an engine, and all that is asked of its sessions return TS_DEVICE_ERROR, whatever a frame
 * was doing at that moment. What is told of avatars, frames and voices is still told, ts_avatar_retarget works, and so
 * does a ts_speech that no thread was using; handles may be destroyed, and the memory of engines and sessions is left to
 * the end of the process. Make an engine in the child.
 *
 * A frame whose (Gaussian, tile) pairs would take more than 2 GiB of scratch memory is refused (TS_OUT_OF_MEMORY); real
 * heads stay far below.
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

#define TS_ABI_VERSION 2

/* ---- limits ---- */

#define TS_MAX_SIDE 16384         /* pixels of an image's width or height; at least 1 */
#define TS_MAX_GAUSSIANS 16777215 /* 2^24 - 1 */
#define TS_MAX_SH_COEFFICIENTS 16 /* stored per Gaussian; degrees 0..3 */
#define TS_MAX_THREADS 256        /* of an engine */
#define TS_MIN_RATE_HZ 8000       /* of sound */
#define TS_MAX_RATE_HZ 192000
#define TS_MAX_CHANNELS 8  /* of sound, interleaved */
#define TS_MAX_SAMPLE 8.0f /* a sample's size; full scale is 1 */
#define TS_MIN_FPS 20.0    /* frames per second of faces */
#define TS_MAX_FPS 60.0
#define TS_MAX_AMOUNT 2.0f /* of mouth, head and blink in ts_speech_params; at least 0 */
#define TS_N_WEIGHTS 52    /* ARKit's weights of a face */
#define TS_DILATION 0.3f /* px^2, added to the diagonal of a 2-D covariance by the reference and what trains like it */

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
  TS_AUDIO_INVALID = 9,
  TS_LATENCY_REFUSED = 10,
  TS_QUEUE_FULL = 11,
  TS_TIMEOUT = 12,
  TS_CLOSED = 13
} ts_status;

typedef enum ts_precision {
  TS_PRECISION_REFERENCE = 0, /* the image that avatars were trained with: within 2e-5 of float64; all in float32 */
  /* Within 1.5/255 of float64, each branch of a deform program by itself where they are drawn one over another; deform
     networks in bfloat16 where the CPU is faster with it, on a GPU in half floats. */
  TS_PRECISION_FAST = 1,
  /* On the CPU pictures as in reference, deform networks as was chosen when the avatar was imported; on a GPU as fast. */
  TS_PRECISION_DEFAULT = 2
} ts_precision;

typedef enum ts_format {
  TS_FORMAT_RGB_F32 = 0, /* [height,width,3] float32, not clamped */
  TS_FORMAT_RGBA8 = 1,   /* [height,width,4]; alpha is 255 over a background, else straight coverage */
  TS_FORMAT_RGB8 = 2,    /* [height,width,3] */
  TS_FORMAT_NV12 = 3     /* [height*3/2,width], BT.709 limited range; height and width even */
} ts_format;

typedef struct ts_engine ts_engine;
typedef struct ts_avatar ts_avatar;
typedef struct ts_memory ts_memory;
typedef struct ts_frame ts_frame;
typedef struct ts_voice ts_voice;
typedef struct ts_speech ts_speech;
typedef struct ts_listener ts_listener;
typedef struct ts_session ts_session;

TS_API uint32_t ts_abi_version(void);
TS_API const char* ts_version(void); /* "0.1.0" */
TS_API const char* ts_status_name(ts_status status);
TS_API const char* ts_last_error(void);     /* of the calling thread; "" when there was none */
TS_API uint32_t ts_isa_count(void);         /* instruction sets that this CPU and this build have, slowest first */
TS_API const char* ts_isa_name(uint32_t i); /* "scalar", "avx2", "avx512", ...; NULL past the end */

/* ---- time: sample n is at n / rate_hz seconds, frame k at k / fps ----
 *
 * Exact, in integers; fps stands for any number that rounds to it, such as 30000 / 1001. Counts to 2^40 (two months at
 * 192 kHz), rates to TS_MAX_RATE_HZ and fps from 1 to 1000; what is beyond them gives 0.
 */
TS_API int64_t ts_frame_count(int64_t n_samples, uint32_t rate_hz, double fps); /* frames before the end of the sound */
TS_API int64_t ts_first_sample(int64_t frame, uint32_t rate_hz, double fps); /* the last sample not after the frame */

/* ---- engine: a device, its threads and scratch memory ---- */

/* "auto" is the first NVIDIA GPU that this build has kernels for, else the CPU, and ts_engine_info.note says why. A GPU
 * that fails, or has too little memory, is given up: from that very call on the CPU does the engine's work, and note says
 * so. A device that is asked for by name never becomes another: its failures are TS_DEVICE_ERROR. */
typedef struct ts_engine_params {
  uint32_t struct_size;
  uint32_t threads;   /* of the CPU. 0: one per CPU that this process may run on; at most TS_MAX_THREADS */
  const char* device; /* "auto", "cpu", "cuda", which is "cuda:0", or "cuda:N". Nullable: auto */
  const char* isa;    /* of the CPU's kernels. Nullable: TALKSPLAT_ISA if set, else the widest that the CPU has */
} ts_engine_params;

typedef struct ts_engine_info {
  uint32_t struct_size;
  uint32_t threads;        /* of the CPU */
  const char* device;      /* that draws: "cpu", "cuda:0", ... */
  const char* isa;         /* of its kernels: "avx2", "sm_75", ... */
  uint64_t scratch_bytes;  /* high-water mark of the scratch memory */
  const char* device_name; /* of a GPU, as its maker calls it; "" for the CPU */
  const char* note;        /* with "auto", why the CPU draws; else "" */
} ts_engine_info;

static inline ts_engine_params ts_engine_params_default(void) {
  ts_engine_params params = {sizeof(ts_engine_params), 0, NULL, NULL};
  return params;
}
/* params: Nullable: the defaults. */
TS_API ts_status ts_engine_create(const ts_engine_params* params, ts_engine** engine);
TS_API void ts_engine_destroy(ts_engine* engine);
TS_API ts_status ts_engine_get_info(const ts_engine* engine, ts_engine_info* info);
/* What its threads can multiply and add at most, from registers alone, in 1e9 floating-point operations per second: what a
 * deform network's speed is a fraction of. bf16_gflops: 0 where bfloat16 is not used. Takes a twentieth of a second. */
TS_API ts_status ts_engine_measure_peak(ts_engine* engine, double* fp32_gflops, double* bf16_gflops);

/* ---- what this machine and this build have beside the CPU ---- */

typedef struct ts_system_info {
  uint32_t struct_size;
  uint32_t n_gpus;                /* that the NVIDIA driver shows, whether talksplat can use them or not */
  uint32_t driver_version;        /* CUDA that the driver has: 13000 is 13.0; 0: there is none */
  uint32_t oldest_driver_version; /* that this build's kernels need; 0: it has none */
  const char* kernels;            /* of this build: "sm_75, ..., by nvcc 13.0.88; ..., by Triton 3.9.0"; "": none */
  const char* why_no_gpu;         /* "": one can be used */
} ts_system_info;

typedef struct ts_gpu_info {
  uint32_t struct_size;
  uint32_t capability; /* 75 is 7.5, which is the least that is needed */
  const char* device;  /* "cuda:0": what ts_engine_params.device takes */
  const char* name;    /* as its maker calls it */
  uint64_t bytes;      /* of its memory */
  const char* deform;  /* what computes networks in fast precision, and why: "cuda, not measured", "triton, measured",
                          "cuda, triton from 4 frames at once, measured", "triton, TALKSPLAT_DEFORM"; or why that cannot be
                          followed */
  const char*
      encode; /* the same for the voice: "cuda, triton from 256 towers at once, measured", "triton, TALKSPLAT_ENCODE" */
} ts_gpu_info;

/* Look anew at every call. What they point to lives until the calling thread calls one of the two again. */
TS_API ts_status ts_get_system_info(ts_system_info* info);
TS_API ts_status ts_get_gpu_info(uint32_t i, ts_gpu_info* info);

/* ---- on a GPU: pictures and Gaussians that stay there ----
 *
 * Where a call is given a ts_delivery, the pointers that it writes to are addresses in the memory of the engine's GPU: of
 * the caller's (cuMemAlloc, cudaMalloc, a tensor of a framework), or of a ts_memory. They are looked at first, and what is
 * no such memory is refused. The call waits for nothing but the frame's draw before its last one, and for a background's
 * picture to be read. TS_INVALID_ARGUMENT where the CPU draws, while the stream records a graph, and for what is none of the
 * GPU's; TS_DEVICE_ERROR once an engine on "auto" has given its GPU up.
 */
typedef struct ts_delivery {
  uint32_t struct_size;
  void* stream; /* a CUstream (cudaStream_t) of the GPU's primary context, the one of the CUDA runtime. The memory is
                   written when the stream has done what it has to do by now, and what comes into it later waits for that.
                   Nullable: the legacy default stream */
  void* event;  /* a CUevent (cudaEvent_t), recorded when the memory is written. Nullable */
} ts_delivery;

typedef struct ts_memory_info {
  uint32_t struct_size;
  uint32_t ordinal; /* of its GPU: N of "cuda:N" */
  void* address;
  uint64_t bytes;
  void* event; /* for a ts_delivery into it */
} ts_memory_info;

/* Memory of the engine's GPU, for programs that allocate none. */
TS_API ts_status ts_memory_create(ts_engine* engine, uint64_t bytes, ts_memory** memory);
/* Waits until the GPU has done what any stream was given so far. */
TS_API void ts_memory_destroy(ts_memory* memory);
TS_API ts_status ts_memory_get_info(const ts_memory* memory, ts_memory_info* info);
/* What comes into this stream later waits for what was last delivered with the memory's event. Nullable: as above. */
TS_API ts_status ts_memory_hold_back(const ts_memory* memory, void* stream);
/* Waits for it here, and copies bytes from the offset on. */
TS_API ts_status ts_memory_read(const ts_memory* memory, uint64_t offset, void* to, uint64_t bytes);

/* ---- images ---- */

typedef struct ts_image {
  uint32_t struct_size;
  ts_format format;
  uint32_t width, height;
  int64_t stride_bytes; /* of a row (of both planes for NV12), whole floats for RGB_F32; 0: tightly packed */
  void* data;           /* caller's memory */
  float* alpha;         /* [height,width] accumulated weight. Nullable: not wanted */
  float* depth;         /* [height,width] sum of weight * camera depth. Nullable: not wanted */
} ts_image;

typedef struct ts_background {
  /* one colour, or a picture of the image's size, or nothing (both NULL) */
  const float* color;     /* [3] finite. Nullable */
  const float* image_f32; /* [height,width,3]; not searched for NaN, which is 0 in the 8-bit formats. Nullable */
} ts_background;

typedef struct ts_camera {
  float cam_from_world[16]; /* row-major 4x4, last row 0 0 0 1 */
  float fx, fy, cx, cy;     /* pixels; cx = width / 2 is the middle */
  float near_plane;         /* Gaussians at camera depth <= this are culled; 0.2 in the reference */
} ts_camera;

/* What a frame took, in microseconds by stage, and what it had to do. On a GPU, whose stages are one graph, only total_us
 * is told; the others are 0. */
typedef struct ts_receipt {
  uint32_t struct_size;
  float pose_us, deform_us, project_us, bin_us, blend_us, total_us; /* project includes the tile spans, bin the depth
                                                                   sort, blend the finish */
  uint32_t n_gaussians, n_visible;
  uint64_t n_instances; /* (Gaussian, tile) pairs */
  uint64_t n_dropped;   /* visible Gaussians that were left out, the farthest, for want of memory for the pairs; only on
                           a GPU, whose frames have a fixed amount of it */
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
  float dilation; /* added to the diagonal of the 2-D covariance, px^2; TS_DILATION in the reference */
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
                                TS_DILATION,
                                TS_PRECISION_DEFAULT};
  return params;
}
/* Gaussians that are not finite are skipped. receipt: Nullable. */
TS_API ts_status ts_rasterize(ts_engine* engine, const ts_rasterize_params* params, const ts_image* image,
                              ts_receipt* receipt);

/* ---- avatar ---- */

/* What drives it: one entry per input of the manifest, in its order. A control has them one after the other. */
typedef struct ts_input_info {
  uint32_t struct_size;
  const char* name;
  uint32_t size;                    /* floats */
  uint32_t offset;                  /* of its first float in a control */
  const float* default_value;       /* [size] */
  const char* const* element_names; /* [size] where they have names ("jawOpen", "AU45"), else NULL */
} ts_input_info;

typedef struct ts_avatar_info {
  uint32_t struct_size;
  const char* manifest; /* JSON, NUL-terminated */
  uint32_t n_gaussians; /* rows in the file */
  uint32_t n_source;    /* rows in the file it was imported from */
  uint32_t n_vertices, n_triangles, n_joints, n_blendshapes, n_inputs;
  uint32_t n_control; /* floats of a control: of all inputs together */
  uint32_t
      speaks; /* 1: speech moves it, through inputs with ARKit's names or FLAME's, or windows of a voice's features;
                      0: it has no such face, or needs features of another encoder (the manifest's "encoder") */
  int32_t sh_degree;      /* -1: RGB */
  uint32_t width, height; /* of the canvas */
  float fps;
  uint64_t file_bytes, resident_bytes; /* of the mapped file; beside it, whatever the number of frames */
  const char* name;
  ts_camera camera;    /* of the canvas */
  double look_ahead_s; /* seconds: the features that it needs of frames after its own, beside a voice's look_ahead_s */
  uint32_t has_face;   /* 1: weights of a face move it: ARKit's, or through FLAME's parameters or action units */
} ts_avatar_info;

typedef enum ts_dtype { TS_F32 = 0, TS_U8 = 1, TS_U16 = 2, TS_U32 = 3, TS_I32 = 4 } ts_dtype;

/* A tensor of the file, memory-mapped. */
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
/* By name; the message of TS_INVALID_ARGUMENT lists the inputs that there are. */
TS_API ts_status ts_avatar_find_input(const ts_avatar* avatar, const char* name, ts_input_info* info);
TS_API uint32_t ts_avatar_tensor_count(const ts_avatar* avatar);
TS_API ts_status ts_avatar_get_tensor(const ts_avatar* avatar, uint32_t index, ts_tensor* tensor);

/* ---- retarget: a face to the avatar's controls ---- */

/* n frames of a face; what is given is finite. */
typedef struct ts_face {
  uint32_t struct_size;
  int64_t n;
  const float* weight; /* [n,52] ARKit's weights, in the order of ts_voice_info.weight_names. Nullable: none is given */
  const uint8_t* given;   /* [52] 1: the weight is given, 0: it is not. Nullable: all are */
  const float* head_pose; /* [n,3] axis-angle, radians, in ARKit's axes. Nullable: not given */
} ts_face;

/* What became of it. */
typedef struct ts_retargeted {
  uint32_t struct_size;
  uint8_t* has_place; /* [53] 1: the avatar is moved by this weight, the last: by the head pose. Nullable */
  uint8_t* moved;     /* [n_inputs] 1: the input is moved by what was given, 0: it has its default. Nullable */
} ts_retargeted;

/* control [n,n_control]: what the face does not move has its default. Weights that the rig has no shape for go to the
 * nearest combination that it has, and on a FLAME avatar to jaw, eyes, neck and expression (docs/retargeting.md). Every
 * float is finite: sums beyond the largest float are that float. Inputs of action units (AU01 AU04 AU05 AU06 AU07 AU45,
 * in OpenFace's 0..5, and "eye") are moved by brows, cheeks and lids. report: Nullable. */
TS_API ts_status ts_avatar_retarget(const ts_avatar* avatar, const ts_face* face, float* control,
                                    const ts_retargeted* report);

/* ---- frame: what one caller needs to draw an avatar ---- */

typedef struct ts_frame_params {
  uint32_t struct_size;
  uint32_t width, height; /* of its pictures, pixels; both 0: the avatar's canvas */
  ts_format format;
  ts_precision precision;
  uint32_t alpha, depth; /* 1: its pictures may ask for that plane */
} ts_frame_params;

static inline ts_frame_params ts_frame_params_default(void) {
  ts_frame_params params = {sizeof(ts_frame_params), 0, 0, TS_FORMAT_RGBA8, TS_PRECISION_DEFAULT, 0, 0};
  return params;
}

typedef struct ts_frame_info {
  uint32_t struct_size;
  uint32_t width, height;
  ts_format format;
  ts_precision precision;
  uint64_t bytes; /* its own memory; the avatar's is shared */
} ts_frame_info;

/* params: Nullable: the defaults. A frame's memory is claimed here, but for the avatar's plate at its size, which the
 * first draw over the avatar's own background makes; after it, calls on the frame allocate nothing. The engine's
 * scratch memory grows when a frame needs more than any before. */
TS_API ts_status ts_frame_create(const ts_avatar* avatar, const ts_frame_params* params, ts_frame** frame);
TS_API void ts_frame_destroy(ts_frame* frame);
TS_API ts_status ts_frame_get_info(const ts_frame* frame, ts_frame_info* info);

typedef struct ts_render_params {
  uint32_t struct_size;
  const float* control;            /* [n_control]. Nullable: every input has its default */
  const ts_camera* camera;         /* Nullable: the avatar's, scaled to the image's height and centred */
  const ts_background* background; /* Nullable: the avatar's own (colour, or plate scaled as the camera);
                                    for none, point to an empty one */
  const ts_delivery* on_device;    /* the image's data, alpha and depth are in the GPU's memory. Nullable: the host's */
} ts_render_params;

static inline ts_render_params ts_render_params_default(void) {
  ts_render_params params = {sizeof(ts_render_params), NULL, NULL, NULL, NULL};
  return params;
}
/* params, receipt: Nullable. The image is of the frame's size and format. On a GPU an RGBA8 image's data and stride are
 * multiples of 4; the receipt of what stays there counts nothing but the time of the call. */
TS_API ts_status ts_frame_render(ts_frame* frame, const ts_render_params* params, const ts_image* image,
                                 ts_receipt* receipt);

/* Activated Gaussians after pose and deform, in the source file's order; pruned rows have opacity 0. On a device they are
 * in the avatar's order, without what was pruned: row i is the source's row gaussians/source_index[i] (a tensor of the
 * file). */
typedef struct ts_gaussians {
  uint32_t struct_size;
  int64_t n;                    /* must equal n_source; on a device n_gaussians */
  float* mean_w;                /* [n,3]. Nullable, as are the others */
  float* quat;                  /* [n,4] */
  float* scale;                 /* [n,3] */
  float* opacity;               /* [n] */
  float* color;                 /* [n,3], or [n,(sh_degree+1)^2,3] where sh_degree >= 0 */
  const ts_delivery* on_device; /* Nullable: the arrays are the host's */
} ts_gaussians;

/* control: Nullable, as in ts_render_params. */
TS_API ts_status ts_frame_gaussians(ts_frame* frame, const float* control, ts_gaussians* out);
/* The posed mesh, [n_vertices,3]. control: Nullable. */
TS_API ts_status ts_frame_vertices(ts_frame* frame, const float* control, float* vertices, int64_t n_vertices);

/* ---- voice: speech to the motion of a face ----
 *
 * Frame k is the face at k / fps seconds of the audio, and needs the audio up to look_ahead_s later: push, then read
 * whatever is ready. How the audio is cut into pushes changes nothing, bit for bit.
 */
typedef struct ts_voice_info {
  uint32_t struct_size;
  const char* manifest; /* JSON, NUL-terminated */
  double look_ahead_s;  /* of a face, all told: network and drive. At other rates than 16 kHz its filter adds 16 samples
                           of the lower rate: 1 ms, 2 ms at 8 kHz. A control of an avatar adds ts_avatar_info's */
  uint32_t n_channels;  /* what the network says; channel_names in its order */
  const char* const* channel_names;
  uint32_t n_features;
  uint32_t n_weights; /* TS_N_WEIGHTS; weight_names in their order */
  const char* const* weight_names;
  uint64_t n_parameters, file_bytes;
} ts_voice_info;

TS_API ts_status ts_voice_load(const char* path, ts_voice** voice);
TS_API void ts_voice_destroy(ts_voice* voice);
TS_API ts_status ts_voice_get_info(const ts_voice* voice, ts_voice_info* info);

typedef enum ts_sample_format { TS_SAMPLE_F32 = 0, TS_SAMPLE_S16 = 1 } ts_sample_format;

typedef struct ts_speech_params {
  uint32_t struct_size;
  uint32_t rate_hz;  /* of the audio: TS_MIN_RATE_HZ..TS_MAX_RATE_HZ */
  uint32_t channels; /* 1..TS_MAX_CHANNELS, interleaved; their mean is heard */
  double fps;        /* of the faces: TS_MIN_FPS..TS_MAX_FPS */
  uint64_t seed;     /* of blinks, gaze, head motion and breath */
  float mouth;       /* gain of the mouth's opening and shapes, 0..2; closures stay closed */
  float head;        /* amount of head motion, 0..2, and up to 1 of breath; 0: none */
  float blink;       /* blinks relative to a usual rate, 0..2; 0: no blinks and no gaze */
} ts_speech_params;

static inline ts_speech_params ts_speech_params_default(void) {
  ts_speech_params params = {sizeof(ts_speech_params), 16000, 1, 25.0, 0, 1.0f, 1.0f, 1.0f};
  return params;
}
/* params: Nullable: the defaults. The engine's kernels run the network, on the thread that pushes. */
TS_API ts_status ts_speech_create(ts_engine* engine, const ts_voice* voice, const ts_speech_params* params,
                                  ts_speech** speech);
TS_API void ts_speech_destroy(ts_speech* speech);

/* n samples of every channel, all of them or, on failure, none. TS_AUDIO_INVALID for numbers that are not finite or
 * beyond +-TS_MAX_SAMPLE. Frames wait in memory until they are read, 4 (57 + n_channels + n_features) bytes each.
 */
TS_API ts_status ts_speech_push(ts_speech* speech, ts_sample_format format, const void* samples, int64_t n);
/* The audio ends here: frames to its last sample become ready. ts_speech_reset begins a new utterance, at time 0. */
TS_API ts_status ts_speech_finish(ts_speech* speech);
TS_API ts_status ts_speech_reset(ts_speech* speech);

/* Frames to be filled. */
typedef struct ts_faces {
  uint32_t struct_size;
  float* weight;    /* [max_frames,n_weights] ARKit weights, 0..1. Nullable, as are the others */
  float* head_pose; /* [max_frames,3] axis-angle, radians, in ARKit's axes: x to the face's left, y up, z forward */
  float* voice;     /* [max_frames] how surely someone speaks, 0..1 */
  float* channel;   /* [max_frames,n_channels] the network's own words, before drive */
  float* feature;   /* [max_frames,n_features] */
} ts_faces;

/* Takes the next frames, as many as are ready and fit; *n_frames says how many. */
TS_API ts_status ts_speech_read(ts_speech* speech, const ts_faces* faces, int64_t max_frames, int64_t* n_frames);
/* The same frames as controls of an avatar that speaks, [max_frames,n_control]; it may be of another engine. Windows of
 * features have the frames around each, zeros before the utterance and after it: a frame is ready when those after it
 * are, and the stream's fps must be the avatar's. An input called "breath" of one number is how full the lungs are, 0..1.
 * TS_INVALID_ARGUMENT says what of the avatar does not fit the voice. */
TS_API ts_status ts_speech_read_control(ts_speech* speech, const ts_avatar* avatar, float* control, int64_t max_frames,
                                        int64_t* n_frames);
TS_API int64_t ts_speech_ready(const ts_speech* speech); /* faces that can be read now */
TS_API int64_t ts_speech_ready_control(const ts_speech* speech, const ts_avatar* avatar); /* controls of that avatar */

/* ---- listener: sound of any rate as encoders of speech take it, 16 kHz and one channel ----
 *
 * n samples of sound at rate_hz become ceil(16000 n / rate_hz). How they are cut into pushes changes nothing, bit for bit.
 */
TS_API ts_status ts_listener_create(uint32_t rate_hz, uint32_t channels, ts_listener** listener);
TS_API void ts_listener_destroy(ts_listener* listener);
/* As ts_speech_push. Samples wait in memory until they are read. */
TS_API ts_status ts_listener_push(ts_listener* listener, ts_sample_format format, const void* samples, int64_t n);
TS_API ts_status ts_listener_finish(ts_listener* listener); /* the sound ends here: the rest of it becomes ready */
TS_API ts_status ts_listener_reset(ts_listener* listener);  /* another sound begins */
/* Takes the next samples, as many as are ready and fit; *n_samples says how many. */
TS_API ts_status ts_listener_read(ts_listener* listener, float* samples, int64_t max_samples, int64_t* n_samples);
TS_API int64_t ts_listener_ready(const ts_listener* listener); /* samples that can be read now */

#ifdef __cplusplus
}
#endif

#include "talksplat_session.h"

#endif
