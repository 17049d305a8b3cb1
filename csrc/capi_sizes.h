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
TS_SIZES(ts_engine_info, TS_AT(threads), TS_AT(device), TS_AT(isa), TS_AT(scratch_bytes), TS_AT(device_name),
         TS_AT(note));
TS_SIZES(ts_system_info, TS_AT(n_gpus), TS_AT(driver_version), TS_AT(oldest_driver_version), TS_AT(kernels),
         TS_AT(why_no_gpu));
TS_SIZES(ts_gpu_info, TS_AT(capability), TS_AT(device), TS_AT(name), TS_AT(bytes), TS_AT(deform), TS_AT(encode));
TS_SIZES(ts_delivery, TS_AT(stream), TS_AT(event));
TS_SIZES(ts_memory_info, TS_AT(ordinal), TS_AT(address), TS_AT(bytes), TS_AT(event));
TS_SIZES(ts_image, TS_AT(format), TS_AT(width), TS_AT(height), TS_AT(stride_bytes), TS_AT(data), TS_AT(alpha),
         TS_AT(depth));
TS_SIZES(ts_receipt, TS_AT(pose_us), TS_AT(deform_us), TS_AT(project_us), TS_AT(bin_us), TS_AT(blend_us),
         TS_AT(total_us), TS_AT(n_gaussians), TS_AT(n_visible), TS_AT(n_instances), TS_AT(n_dropped));
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
TS_SIZES(ts_render_params, TS_AT(control), TS_AT(camera), TS_AT(background), TS_AT(on_device));
TS_SIZES(ts_gaussians, TS_AT(n), TS_AT(mean_w), TS_AT(quat), TS_AT(scale), TS_AT(opacity), TS_AT(color),
         TS_AT(on_device));
TS_SIZES(ts_voice_info, TS_AT(manifest), TS_AT(look_ahead_s), TS_AT(n_channels), TS_AT(channel_names),
         TS_AT(n_features), TS_AT(n_weights), TS_AT(weight_names), TS_AT(n_parameters), TS_AT(file_bytes));
TS_SIZES(ts_speech_params, TS_AT(rate_hz), TS_AT(channels), TS_AT(fps), TS_AT(seed), TS_AT(mouth), TS_AT(head),
         TS_AT(blink));
TS_SIZES(ts_faces, TS_AT(weight), TS_AT(head_pose), TS_AT(voice), TS_AT(channel), TS_AT(feature));
TS_SIZES(ts_session_params, TS_AT(fps), TS_AT(width), TS_AT(height), TS_AT(format), TS_AT(precision), TS_AT(latency_ms),
         TS_AT(chunk_ms), TS_AT(on_late), TS_AT(idle), TS_AT(clock), TS_AT(slots), TS_AT(queue_ms),
         TS_AT(flush_after_ms), TS_AT(rate_hz), TS_AT(channels), TS_AT(seed), TS_AT(mouth), TS_AT(head), TS_AT(blink),
         TS_AT(background), TS_AT(feature_look_ahead_ms));
TS_SIZES(ts_presence, TS_AT(look), TS_AT(gaze), TS_AT(head_pose), TS_AT(head), TS_AT(blink), TS_AT(listening),
         TS_AT(emotion));
TS_SIZES(ts_live_frame, TS_AT(flags), TS_AT(slot), TS_AT(rate_hz), TS_AT(channels), TS_AT(index), TS_AT(pts_samples),
         TS_AT(n_samples), TS_AT(samples), TS_AT(segment), TS_AT(segment_sample), TS_AT(width), TS_AT(height),
         TS_AT(format), TS_AT(stride_bytes), TS_AT(data), TS_AT(times), TS_AT(receipt));
TS_SIZES(ts_session_stats, TS_AT(sessions), TS_AT(feature_floats), TS_AT(fps), TS_AT(latency_ms),
         TS_AT(smallest_latency_ms), TS_AT(look_ahead_ms), TS_AT(p50_ms), TS_AT(p95_ms), TS_AT(p99_ms), TS_AT(max_ms),
         TS_AT(frames), TS_AT(speech), TS_AT(idle), TS_AT(starved), TS_AT(late), TS_AT(late_by_host), TS_AT(held),
         TS_AT(skipped), TS_AT(dropped), TS_AT(stalls), TS_AT(stalled_ms), TS_AT(queued_ms), TS_AT(cpu_ms),
         TS_AT(bytes), TS_AT(has_place));

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
