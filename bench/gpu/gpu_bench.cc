// SPDX-License-Identifier: Apache-2.0
#include "gpu_bench.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "engine/renderer.h"

namespace ts_bench {

using ts::Status;
using ts::StatusCode;

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())))];
}

Status Scene::read_controls(const std::string& path) {
  const auto n = static_cast<size_t>(model_->layout().size());
  if (path.empty() || n == 0) {
    controls_.assign(model_->layout().neutral(), model_->layout().neutral() + n);
    n_controls_ = 1;
    return {};
  }
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto bytes = file ? static_cast<size_t>(file.tellg()) : 0;
  if (bytes == 0 || bytes % (n * sizeof(float)) != 0)
    return ts::error(StatusCode::kInvalidArgument,
                     "gpu_bench: %s must hold controls of %zu float32 each; got %zu bytes. Write them anew.",
                     path.c_str(), n, bytes);
  controls_.resize(bytes / sizeof(float));
  n_controls_ = controls_.size() / n;
  file.seekg(0);
  file.read(reinterpret_cast<char*>(controls_.data()), static_cast<std::streamsize>(bytes));
  return {};
}

Status Scene::make(const Options& options, const std::shared_ptr<ts::Backend>& backend) {
  TS_RETURN_IF_ERROR(ts::Model::load(options.avatar.c_str(), backend, model_));
  TS_RETURN_IF_ERROR(read_controls(options.controls));
  ts::Canvas canvas;
  canvas.width = options.width, canvas.height = options.height;
  canvas.format = options.format, canvas.precision = options.precision;
  const int64_t rows = options.format == ts::Format::kNv12 ? options.height * 3 / 2 : options.height;
  for (int i = 0; i < options.batch; ++i) {
    frames_.emplace_back();
    TS_RETURN_IF_ERROR(ts::Frame::make(model_, canvas, frames_.back()));
    pictures_.emplace_back(static_cast<size_t>(rows * ts::row_bytes(options.format, options.width)));
    receipts_.emplace_back();
  }
  return {};
}

ts::RenderJob Scene::job_of(size_t i, size_t turn) {
  const auto floats = static_cast<size_t>(model_->layout().size());
  const ts::Canvas& canvas = frames_[i]->canvas();
  ts::RenderJob job;
  job.frame = frames_[i].get();
  job.control = controls_.data() + turn % n_controls_ * floats;
  job.image.width = canvas.width, job.image.height = canvas.height, job.image.format = canvas.format;
  job.image.stride_bytes = ts::row_bytes(canvas.format, canvas.width);
  job.image.data = pictures_[i].data();
  receipts_[i] = {};
  job.receipt = &receipts_[i];
  return job;
}

Status Scene::draw(size_t first, size_t n, size_t turn) {
  std::vector<ts::RenderJob> jobs;
  for (size_t i = 0; i < n; ++i) jobs.push_back(job_of(first + i, turn + i));
  return ts::render(jobs.data(), n);
}

Status Scene::draw_to_stay(size_t turn) {
  for (size_t i = stayed_.size(); i < size(); ++i) {
    stayed_.emplace_back();
    TS_RETURN_IF_ERROR(model_->backend().make_memory(pictures_[i].size(), stayed_.back()));
  }
  std::vector<ts::RenderJob> jobs;
  std::vector<ts::DeviceDelivery> deliveries(size());
  for (size_t i = 0; i < size(); ++i) {
    deliveries[i].event = stayed_[i]->event();
    jobs.push_back(job_of(i, turn + i));
    jobs.back().image.data = stayed_[i]->address();
    jobs.back().on_device = &deliveries[i];
  }
  return ts::render(jobs.data(), jobs.size());
}

Status Scene::read_stayed(size_t i, std::vector<uint8_t>& picture) {
  picture.resize(pictures_[i].size());
  return stayed_[i]->read(0, picture.data(), picture.size());
}

}  // namespace ts_bench

namespace {

using ts_bench::Options;

constexpr const char* kUsage =
    "usage: gpu_bench device|frames|kernels|voice [--avatar FILE] [--controls FILE] [--voice FILE]\n"
    "       [--size WIDTHxHEIGHT] [--format rgba8|rgb8|nv12] [--precision fast|reference] [--batch N] [--repeats N]\n"
    "       [--copy-bytes N] [--hold-turns N]\n";

bool read_option(const std::string& name, const char* value, Options& options) {
  const int number = std::atoi(value);
  if (name == "--avatar") return !(options.avatar = value).empty();
  if (name == "--controls") return !(options.controls = value).empty();
  if (name == "--voice") return !(options.voice = value).empty();
  if (name == "--size") return std::sscanf(value, "%dx%d", &options.width, &options.height) == 2;
  if (name == "--format") {
    options.format = std::strcmp(value, "rgba8") == 0  ? ts::Format::kRgba8
                     : std::strcmp(value, "rgb8") == 0 ? ts::Format::kRgb8
                                                       : ts::Format::kNv12;
    return options.format != ts::Format::kNv12 || std::strcmp(value, "nv12") == 0;
  }
  if (name == "--precision") {
    const bool fast = std::strcmp(value, "fast") == 0;
    options.precision = fast ? ts::Precision::kFast : ts::Precision::kReference;
    return fast || std::strcmp(value, "reference") == 0;
  }
  if (name == "--batch") return (options.batch = number) > 0;
  if (name == "--repeats") return (options.repeats = number) > 0;
  if (name == "--copy-bytes") return (options.copy_bytes = std::atoll(value)) > 0;
  if (name == "--hold-turns") return (options.hold_turns = number) >= 0;
  return false;
}

}  // namespace

int main(int n, char** words) {
  const std::string mode = n > 1 ? words[1] : "";
  Options options;
  bool good = n % 2 == 0;
  for (int i = 2; good && i < n; i += 2) good = read_option(words[i], words[i + 1], options);
  const bool draws = mode == "frames" || mode == "kernels", speaks = mode == "voice";
  if (!good || !(mode == "device" || (draws && !options.avatar.empty()) || (speaks && !options.voice.empty()))) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  const ts::Status status = mode == "device"   ? ts_bench::measure_device(options)
                            : mode == "frames" ? ts_bench::measure_frames(options)
                            : speaks           ? ts_bench::measure_voice(options)
                                               : ts_bench::measure_kernels(options);
  if (!status.ok()) std::fprintf(stderr, "gpu_bench: %s\n", status.message().c_str());
  return status.ok() ? 0 : 1;
}
