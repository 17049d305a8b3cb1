// SPDX-License-Identifier: Apache-2.0
// The values of struct_size that a caller may pass: sizeof the struct, or where one of its fields begins, which is
// where the struct of an older header ends. Any other would cut a field in two.
#pragma once
#include <cstddef>
#include <string>

#include "core/status.h"
#include "talksplat.h"

namespace ts::capi {

template <class T>
struct KnownSizes;

#define TS_SIZES(T, ...)                                         \
  template <>                                                    \
  struct KnownSizes<T> {                                         \
    using Struct = T;                                            \
    static constexpr size_t values[] = {__VA_ARGS__, sizeof(T)}; \
  }
#define TS_AT(field) offsetof(Struct, field)

TS_SIZES(ts_engine_params, TS_AT(threads), TS_AT(device), TS_AT(isa));
TS_SIZES(ts_engine_info, TS_AT(threads), TS_AT(device), TS_AT(isa), TS_AT(scratch_bytes));
TS_SIZES(ts_image, TS_AT(format), TS_AT(width), TS_AT(height), TS_AT(stride_bytes), TS_AT(data), TS_AT(alpha),
         TS_AT(depth));
TS_SIZES(ts_receipt, TS_AT(pose_us), TS_AT(deform_us), TS_AT(project_us), TS_AT(bin_us), TS_AT(blend_us),
         TS_AT(total_us), TS_AT(n_gaussians), TS_AT(n_visible), TS_AT(n_instances));
TS_SIZES(ts_rasterize_params, TS_AT(n), TS_AT(mean_w), TS_AT(quat), TS_AT(scale), TS_AT(opacity), TS_AT(color),
         TS_AT(sh_degree), TS_AT(sh_stride), TS_AT(camera), TS_AT(background), TS_AT(dilation), TS_AT(precision));
TS_SIZES(ts_input_info, TS_AT(name), TS_AT(size), TS_AT(offset), TS_AT(default_value), TS_AT(element_names));
TS_SIZES(ts_avatar_info, TS_AT(manifest), TS_AT(n_gaussians), TS_AT(n_source), TS_AT(n_vertices), TS_AT(n_triangles),
         TS_AT(n_joints), TS_AT(n_blendshapes), TS_AT(n_inputs), TS_AT(n_control), TS_AT(speaks), TS_AT(sh_degree),
         TS_AT(width), TS_AT(height), TS_AT(fps), TS_AT(file_bytes), TS_AT(resident_bytes), TS_AT(name), TS_AT(camera),
         TS_AT(look_ahead_s), TS_AT(has_face));
TS_SIZES(ts_tensor, TS_AT(name), TS_AT(dtype), TS_AT(ndim), TS_AT(shape), TS_AT(data));
TS_SIZES(ts_face, TS_AT(n), TS_AT(weight), TS_AT(given), TS_AT(head_pose));
TS_SIZES(ts_retargeted, TS_AT(has_place), TS_AT(moved));
TS_SIZES(ts_frame_params, TS_AT(width), TS_AT(height), TS_AT(format), TS_AT(precision), TS_AT(alpha), TS_AT(depth));
TS_SIZES(ts_frame_info, TS_AT(width), TS_AT(height), TS_AT(format), TS_AT(precision), TS_AT(bytes));
TS_SIZES(ts_render_params, TS_AT(control), TS_AT(camera), TS_AT(background));
TS_SIZES(ts_gaussians, TS_AT(n), TS_AT(mean_w), TS_AT(quat), TS_AT(scale), TS_AT(opacity), TS_AT(color));
TS_SIZES(ts_voice_info, TS_AT(manifest), TS_AT(look_ahead_s), TS_AT(n_channels), TS_AT(channel_names),
         TS_AT(n_features), TS_AT(n_weights), TS_AT(weight_names), TS_AT(n_parameters), TS_AT(file_bytes));
TS_SIZES(ts_speech_params, TS_AT(rate_hz), TS_AT(channels), TS_AT(fps), TS_AT(seed), TS_AT(mouth), TS_AT(head),
         TS_AT(blink));
TS_SIZES(ts_faces, TS_AT(weight), TS_AT(head_pose), TS_AT(voice), TS_AT(channel), TS_AT(feature));

#undef TS_AT
#undef TS_SIZES

template <class T>
Status check_size(const char* function, const T& given) {
  const size_t size = given.struct_size;
  for (const size_t value : KnownSizes<T>::values)
    if (size == value) return {};
  std::string older;
  for (const size_t value : KnownSizes<T>::values)
    if (value != sizeof(T)) older += (older.empty() ? "" : ", ") + std::to_string(value);
  return error(StatusCode::kInvalidArgument,
               "%s: struct_size must be sizeof the struct, %zu here, or where one of its fields begins (%s), as in an "
               "older talksplat.h; got %zu. A program of a newer talksplat.h needs the library of that version.",
               function, sizeof(T), older.c_str(), size);
}

}  // namespace ts::capi
