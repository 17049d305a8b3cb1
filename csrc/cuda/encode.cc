// SPDX-License-Identifier: Apache-2.0
#include "cuda/encode.h"

#include <algorithm>
#include <utility>

namespace ts::cuda {
namespace {

// The arrays of a tower, always in the same order: each(array, floats).
template <class Each>
void each_array(EncodeTower& t, EncodeLayer* layers, const Each& each) {
  const auto linear = [&](EncodeLinear& w) {
    each(w.weight, int64_t{w.rows_p} * w.columns_p);
    each(w.bias, int64_t{w.rows_p});
  };
  linear(t.stem), linear(t.head);
  for (int i = 0; i < t.n_layers; ++i) {
    EncodeLayer& layer = layers[i];
    for (EncodeLinear* w : {&layer.qkv, &layer.out, &layer.gate, &layer.mix, &layer.up, &layer.down}) linear(*w);
    each(layer.age_bias, int64_t{t.heads} * 2 * t.window_p);
    each(layer.conv_weight, int64_t{t.taps} * t.width_p);
    each(layer.conv_bias, int64_t{t.width_p});
  }
}

CudaEncodeStream& stream_of(const EncodeCall& call) { return static_cast<CudaEncodeStream&>(*call.stream); }

int64_t said_floats(const EncodeTower& t) { return t.width_p + t.outputs_p; }
int64_t said_floats(const EncodeModel& model) {
  int64_t floats = 0;
  for (const EncodeTower& t : model.towers) floats += said_floats(t);
  return floats;
}
int64_t input_floats(const EncodeModel& model) { return model.towers.front().stem.columns_p; }

}  // namespace

Status VoiceConstants::make(const EncodeModel& model) {
  std::vector<EncodeTower> towers = model.towers;
  std::vector<EncodeLayer> layers;
  for (const EncodeTower& t : towers) layers.insert(layers.end(), t.layers, t.layers + t.n_layers);
  const auto each = [&](const auto& of_array) {
    EncodeLayer* of_tower = layers.data();
    for (EncodeTower& t : towers) {
      each_array(t, of_tower, of_array);
      of_tower += t.n_layers;
    }
  };
  std::vector<std::pair<const float*, int64_t>> sources;
  each([&](const float*& array, int64_t floats) { sources.emplace_back(array, floats); });
  TS_RETURN_IF_ERROR(arena_.make("the voice", [&](Layout& layout) {
    each([&](const float*& array, int64_t floats) { array = layout.take<float>(static_cast<uint64_t>(floats)); });
    towers_ = layout.take<EncodeTower>(towers.size());
    layers_ = layout.take<EncodeLayer>(layers.size());
  }));
  Stream stream(device_);
  TS_RETURN_IF_ERROR(stream.make());
  auto source = sources.begin();
  Status status;
  each([&](const float*& array, int64_t floats) {
    if (status.ok())
      status = stream.upload(const_cast<float*>(array), source->first, static_cast<uint64_t>(floats) * sizeof(float));
    ++source;
  });
  TS_RETURN_IF_ERROR(status);
  EncodeLayer* of_tower = layers_;
  for (EncodeTower& t : towers) {
    t.layers = of_tower;
    of_tower += t.n_layers;
  }
  TS_RETURN_IF_ERROR(stream.upload(towers_, towers.data(), towers.size() * sizeof(EncodeTower)));
  TS_RETURN_IF_ERROR(stream.upload(layers_, layers.data(), layers.size() * sizeof(EncodeLayer)));
  return stream.finish();
}

void CudaEncodeStream::reset() {
  step_ = 0;
  empty_ = broken_ = false;
}

Status CudaEncodeStream::prepare(const Stream& stream) {
  if (broken_)
    return error(StatusCode::kDeviceError,
                 "%s failed while it ran a voice, whose stream cannot go on. Reset it, or use device=\"cpu\".",
                 stream.device().id());
  if (!made_) {
    std::vector<EncodeLayerState> states;
    const auto place = [&](Layout& layout) {
      states.clear(), first_layer_.clear();
      for (const EncodeTower& t : model_->towers) {
        first_layer_.push_back(static_cast<int>(states.size()));
        const auto ring = [&](int64_t a, int64_t b, int64_t c) {
          return layout.take<float>(static_cast<uint64_t>(a * b * c));
        };
        for (int i = 0; i < t.n_layers; ++i)
          states.push_back(
              {ring(t.width, t.window_p, 1), ring(t.heads, t.window, t.head_width_p), ring(t.taps, t.width_p, 1)});
      }
      ring_bytes_ = layout.bytes();
      states_ = layout.take<EncodeLayerState>(states.size());
    };
    TS_RETURN_IF_ERROR(arena_.make("a stream of a voice", place));
    rings_ = reinterpret_cast<float*>(arena_.address());
    TS_RETURN_IF_ERROR(stream.upload(states_, states.data(), states.size() * sizeof(EncodeLayerState)));
    made_ = true;
  }
  if (empty_) return {};
  TS_RETURN_IF_ERROR(stream.clear(rings_, ring_bytes_));
  empty_ = true;
  return {};
}

Status CudaEncoder::constants_of(const std::shared_ptr<const EncodeModel>& model, const VoiceConstants*& constants) {
  voices_.erase(
      std::remove_if(voices_.begin(), voices_.end(), [](const Voice& voice) { return voice.model.expired(); }),
      voices_.end());
  auto found =
      std::find_if(voices_.begin(), voices_.end(), [&](const Voice& voice) { return voice.model.lock() == model; });
  if (found == voices_.end()) {
    auto made = std::make_unique<VoiceConstants>(device_);
    TS_RETURN_IF_ERROR(made->make(*model));
    found = voices_.insert(voices_.end(), Voice{model, std::move(made)});
  }
  constants = found->constants.get();
  return {};
}

Status CudaEncoder::prepare(const EncodeCall* calls, size_t n) {
  if (!made_) {
    TS_RETURN_IF_ERROR(stream_.make());
    TS_RETURN_IF_ERROR(done_.make());
    made_ = true;
  }
  jobs_of_step_.clear();
  shared_bytes_ = 0;
  int64_t n_jobs = 0, inputs = 0, said = 0;
  for (size_t i = 0; i < n; ++i) {
    CudaEncodeStream& stream = stream_of(calls[i]);
    const EncodeModel& model = *stream.model();
    TS_RETURN_IF_ERROR(constants_of(stream.model(), stream.constants_));
    TS_RETURN_IF_ERROR(stream.prepare(stream_));
    const auto towers = static_cast<int64_t>(model.towers.size()), steps = calls[i].n;
    if (static_cast<int64_t>(jobs_of_step_.size()) < steps) jobs_of_step_.resize(static_cast<size_t>(steps));
    for (int64_t step = 0; step < steps; ++step) jobs_of_step_[static_cast<size_t>(step)] += towers;
    n_jobs += steps * towers, inputs += steps * input_floats(model), said += steps * said_floats(model);
    for (const EncodeTower& t : model.towers) shared_bytes_ = std::max(shared_bytes_, encode_shared_bytes(t));
  }
  const auto place = [&](Layout& layout, Staging& staging) {
    staging.job = layout.take<EncodeJob>(static_cast<uint64_t>(n_jobs));
    staging.input = layout.take<float>(static_cast<uint64_t>(inputs));
    upload_bytes_ = layout.bytes();
    staging.said = layout.take<float>(static_cast<uint64_t>(said));
  };
  said_bytes_ = static_cast<uint64_t>(said) * sizeof(float);
  TS_RETURN_IF_ERROR(pinned_.fit("a voice's steps, page-locked,", [&](Layout& layout) { place(layout, host_); }));
  return memory_.fit("a voice's steps", [&](Layout& layout) { place(layout, on_device_); });
}

void CudaEncoder::write_jobs(const EncodeCall* calls, size_t n) {
  EncodeJob* job = host_.job;
  for (int64_t step = 0; step < static_cast<int64_t>(jobs_of_step_.size()); ++step) {
    int64_t input = 0, said = 0;  // of the call's first step
    for (size_t i = 0; i < n; ++i) {
      const EncodeCall& call = calls[i];
      const CudaEncodeStream& stream = stream_of(call);
      const EncodeModel& model = *stream.model();
      const int64_t columns_p = input_floats(model), of_step = said_floats(model);
      if (step < call.n) {
        const int64_t input_at = input + step * columns_p;
        float* to = std::copy_n(call.input + step * model.n_inputs(), model.n_inputs(), host_.input + input_at);
        std::fill(to, host_.input + input_at + columns_p, 0.0f);
        float* says = on_device_.said + said + step * of_step;
        for (size_t t = 0; t < model.towers.size(); ++t) {
          const EncodeTower& tower = model.towers[t];
          *job++ = {
              stream.constants_->tower(t), stream.state(t), stream.step_ + step, on_device_.input + input_at, says,
              says + tower.width_p};
          says += said_floats(tower);
        }
      }
      input += call.n * columns_p, said += call.n * of_step;
    }
  }
}

Status CudaEncoder::launch() {
  TS_RETURN_IF_ERROR(stream_.upload(on_device_.job, host_.job, upload_bytes_));
  const EncodeJob* job = on_device_.job;
  for (const int64_t jobs : jobs_of_step_) {
    TS_RETURN_IF_ERROR(stream_.launch(device_.kernels().encode_step_kernel, 1, jobs, kEncodeThreads,
                                      Jobs<EncodeJob>{job}, static_cast<int64_t>(shared_bytes_)));
    job += jobs;
  }
  TS_RETURN_IF_ERROR(stream_.download(host_.said, on_device_.said, said_bytes_));
  TS_RETURN_IF_ERROR(stream_.record(done_));
  return done_.wait();
}

void CudaEncoder::deliver(const EncodeCall* calls, size_t n) const {
  const float* said = host_.said;
  for (size_t i = 0; i < n; ++i) {
    const EncodeCall& call = calls[i];
    const EncodeModel& model = *stream_of(call).model();
    float *output = call.output, *feature = call.feature;
    for (int64_t step = 0; step < call.n; ++step) {
      feature = std::copy_n(said, model.n_features, feature);  // of the first tower
      for (const EncodeTower& t : model.towers) {
        output = std::copy_n(said + t.width_p, t.outputs, output);
        said += said_floats(t);
      }
    }
  }
}

Status CudaEncoder::run(const EncodeCall* calls, size_t n) {
  const std::lock_guard<std::mutex> lock(lock_);
  const Current current(device_);
  TS_RETURN_IF_ERROR(current.status());
  const Status prepared = prepare(calls, n);
  if (!prepared.ok()) {
    static_cast<void>(stream_.finish());  // before somebody gives back what it has begun to fill
    return prepared;
  }
  write_jobs(calls, n);
  const Status ran = launch();
  if (!ran.ok()) static_cast<void>(stream_.finish());
  for (size_t i = 0; i < n; ++i) {
    stream_of(calls[i]).broken_ = !ran.ok();
    stream_of(calls[i]).step_ += calls[i].n;
  }
  if (ran.ok()) deliver(calls, n);
  return ran;
}

uint64_t CudaEncoder::bytes() const {
  const std::lock_guard<std::mutex> lock(lock_);
  uint64_t bytes = pinned_.bytes() + memory_.bytes();
  for (const Voice& voice : voices_) bytes += voice.constants->bytes();
  return bytes;
}

}  // namespace ts::cuda
