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
  places_.clear();
  shared_bytes_ = 0;
  int64_t inputs = 0, said = 0;
  for (size_t i = 0; i < n; ++i) {
    CudaEncodeStream& stream = stream_of(calls[i]);
    const EncodeModel& model = *stream.model();
    TS_RETURN_IF_ERROR(constants_of(stream.model(), stream.constants_));
    TS_RETURN_IF_ERROR(stream.prepare(stream_));
    places_.push_back({inputs, said});
    inputs += calls[i].n * input_floats(model), said += calls[i].n * said_floats(model);
    for (const EncodeTower& t : model.towers) shared_bytes_ = std::max(shared_bytes_, encode_shared_bytes(t));
  }
  order(calls, n);
  const auto place = [&](Layout& layout, Staging& staging) {
    staging.job = layout.take<EncodeJob>(turns_.size());
    staging.input = layout.take<float>(static_cast<uint64_t>(inputs));
    upload_bytes_ = layout.bytes();
    staging.said = layout.take<float>(static_cast<uint64_t>(said));
  };
  said_bytes_ = static_cast<uint64_t>(said) * sizeof(float);
  TS_RETURN_IF_ERROR(pinned_.fit("a voice's steps, page-locked,", [&](Layout& layout) { place(layout, host_); }));
  return memory_.fit("a voice's steps", [&](Layout& layout) {
    place(layout, on_device_);
    scratch_ = layout.take<float>(static_cast<uint64_t>(scratch_floats_));
  });
}

void CudaEncoder::order(const EncodeCall* calls, size_t n) {
  turns_.clear(), launches_.clear();
  scratch_floats_ = 0;
  std::vector<const EncodeModel*> models;
  int64_t steps = 0;
  for (size_t i = 0; i < n; ++i) {
    const EncodeModel* model = stream_of(calls[i]).model().get();
    if (std::find(models.begin(), models.end(), model) == models.end()) models.push_back(model);
    steps = std::max(steps, calls[i].n);
  }
  for (int64_t step = 0; step < steps; ++step) {
    const size_t first = turns_.size();
    int64_t towers = 0, scratch = 0;
    for (size_t i = 0; i < n; ++i) {
      if (step < calls[i].n) towers += static_cast<int64_t>(stream_of(calls[i]).model()->towers.size());
    }
    const bool by_rows = device_.encode_rows().choice.is_triton(towers);
    for (const EncodeModel* model : models) {
      for (size_t t = 0; t < model->towers.size(); ++t) {
        for (size_t i = 0; i < n; ++i) {
          if (step >= calls[i].n || stream_of(calls[i]).model().get() != model) continue;
          turns_.push_back({i, t, scratch});
          if (by_rows) scratch += encode_row_floats(model->towers[t]);
        }
        while (by_rows && (turns_.size() - first) % kTritonRows != 0) turns_.push_back({n, 0, 0});
      }
    }
    launches_.push_back({static_cast<int64_t>(turns_.size() - first), by_rows});
    scratch_floats_ = std::max(scratch_floats_, scratch);
  }
}

void CudaEncoder::write_jobs(const EncodeCall* calls, size_t n) {
  for (size_t i = 0; i < n; ++i) {
    const EncodeModel& model = *stream_of(calls[i]).model();
    const float* from = calls[i].input;
    float* to = host_.input + places_[i].input;
    for (int64_t step = 0; step < calls[i].n; ++step, from += model.n_inputs(), to += input_floats(model))
      std::fill(std::copy_n(from, model.n_inputs(), to), to + input_floats(model), 0.0f);
  }
  auto turn = turns_.begin();
  EncodeJob* job = host_.job;
  for (size_t step = 0; step < launches_.size(); ++step) {
    for (int64_t j = 0; j < launches_[step].jobs; ++j, ++turn, ++job) {
      *job = {};
      if (turn->call == n) continue;
      const CudaEncodeStream& stream = stream_of(calls[turn->call]);
      const EncodeModel& model = *stream.model();
      const auto at = static_cast<int64_t>(step);
      float* says = on_device_.said + places_[turn->call].said + at * said_floats(model);
      for (size_t t = 0; t < turn->tower; ++t) says += said_floats(model.towers[t]);
      job->tower = stream.constants_->tower(turn->tower), job->state = stream.state(turn->tower);
      job->step = stream.step_ + at,
      job->input = on_device_.input + places_[turn->call].input + at * input_floats(model);
      job->feature = says, job->output = says + model.towers[turn->tower].width_p;
      if (launches_[step].by_rows) job->scratch = scratch_ + turn->scratch;
    }
  }
}

Status CudaEncoder::launch() {
  TS_RETURN_IF_ERROR(stream_.upload(on_device_.job, host_.job, upload_bytes_));
  const EncodeJob* job = on_device_.job;
  for (const Launch& launch : launches_) {
    const Status launched = launch.by_rows
                                ? stream_.launch(device_.encode_rows(), 1, launch.jobs / kTritonRows, job)
                                : stream_.launch(device_.kernels().encode_step_kernel, 1, launch.jobs, kEncodeThreads,
                                                 Jobs<EncodeJob>{job}, static_cast<int64_t>(shared_bytes_));
    TS_RETURN_IF_ERROR(launched);
    job += launch.jobs;
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
