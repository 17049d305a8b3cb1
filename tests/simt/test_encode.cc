// SPDX-License-Identifier: Apache-2.0
// encode's kernel on a CPU: against float64, against the CPU's own kernel, in several orders of threads, and with towers of
// several streams in one launch.
#include "kernels/cuda/encode.cu"
//
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "cpp/check.h"
#include "cpu/kernel_table.h"
#include "ops/encode.h"

using ts::EncodeLayerState;
using ts::EncodeModel;
using ts::EncodeTower;
using ts::LayerWeights;
using ts::LinearWeights;
using ts::TowerWeights;
using ts::cuda::EncodeJob;
using ts::cuda::Jobs;

namespace {

// Of numbers of size about 1, after as many steps as a window has. The CPU's kernel is held to 1e-4.
constexpr double kFromOracle = 1e-5, kFromCpu = 1e-5;

// Of a stream. ThreadSanitizer takes a second a step, and sees in the first ones what it will ever see.
#if defined(SIMT_TSAN)
constexpr int kMostSteps = 3;
#else
constexpr int kMostSteps = 400;
#endif

size_t count(int64_t a, int64_t b = 1, int64_t c = 1) { return static_cast<size_t>(a * b * c); }

std::vector<float> normal(std::mt19937& random, size_t n, float deviation) {
  std::normal_distribution<float> number(0.0f, deviation);
  std::vector<float> out(n);
  for (float& x : out) x = number(random);
  return out;
}

struct Shape {
  const char* name;
  int width, heads, layers, window, taps, hidden, outputs, mels;
};

constexpr Shape kShipped = {"shipped", 96, 4, 4, 48, 9, 576, 13, 40};
// Sizes on both sides of a packed block, of a warp and of a block of threads. The last has more heads than a block has
// warps, and more channels a head than a warp has lanes.
constexpr Shape kShapes[] = {
    {"least", 16, 1, 1, 1, 1, 1, 1, 1},
    {"width 17", 17, 1, 2, 15, 2, 15, 16, 7},
    {"width 33", 33, 3, 1, 31, 3, 33, 17, 9},
    {"window 33", 65, 5, 2, 33, 17, 129, 5, 40},
    kShipped,
    {"hidden 511", 144, 1, 1, 32, 4, 511, 3, 128},
    {"heads 10", 340, 10, 1, 20, 64, 17, 40, 3},
};

TowerWeights random_weights(const Shape& shape, std::mt19937& random) {
  const auto linear = [&](int rows, int columns) {
    const float deviation = 1.0f / std::sqrt(static_cast<float>(columns));
    return LinearWeights{normal(random, count(rows, columns), deviation), normal(random, count(rows), 0.1f)};
  };
  TowerWeights t;
  t.inputs = 2 * shape.mels, t.width = shape.width, t.heads = shape.heads, t.window = shape.window;
  t.taps = shape.taps, t.hidden = shape.hidden, t.outputs = shape.outputs;
  t.stem = linear(t.width, t.inputs), t.head = linear(t.outputs, t.width);
  for (int i = 0; i < shape.layers; ++i) {
    LayerWeights l;
    l.qkv = linear(3 * t.width, t.width), l.out = linear(t.width, t.width);
    l.gate = linear(2 * t.width, t.width), l.mix = linear(t.width, t.width);
    l.up = linear(t.hidden, t.width), l.down = linear(t.width, t.hidden);
    l.age_bias = normal(random, count(t.heads, t.window), 0.5f);
    l.conv_weight = normal(random, count(t.width, t.taps), 0.3f), l.conv_bias = normal(random, count(t.width), 0.1f);
    t.layers.push_back(std::move(l));
  }
  t.sigmoid.assign(count(t.outputs), false);
  return t;
}

struct Voice {
  explicit Voice(const Shape& shape, unsigned seed = 1) {
    std::mt19937 random(seed);
    weights = random_weights(shape, random);
    ts::MelParams mel;
    mel.n_mels = shape.mels;
    model = std::make_unique<EncodeModel>(mel, std::vector<TowerWeights>{weights});
  }
  const EncodeTower& tower() const { return model->towers[0]; }

  TowerWeights weights;
  std::unique_ptr<EncodeModel> model;
};

// What a stream remembers, each ring in memory of its own, and what its last step said.
struct Stream {
  explicit Stream(const EncodeTower& t) : tower(&t), feature(count(t.width_p)), output(count(t.outputs_p)) {
    for (int i = 0; i < t.n_layers; ++i) {
      const auto ring = [&](size_t n) { return rings.emplace_back(n, 0.0f).data(); };
      state.push_back({ring(count(t.width, t.window_p)), ring(count(t.heads, t.window, t.head_width_p)),
                       ring(count(t.taps, t.width_p))});
    }
  }
  Stream(const Stream&) = delete;

  EncodeJob job(const std::vector<float>& input) {
    return {tower, state.data(), step, input.data(), feature.data(), output.data()};
  }

  const EncodeTower* tower;
  std::vector<std::vector<float>> rings;
  std::vector<EncodeLayerState> state;
  int64_t step = 0;
  std::vector<float> feature, output;
};

std::vector<float> random_input(const EncodeTower& t, int columns, std::mt19937& random) {
  std::vector<float> input = normal(random, count(columns), 1.0f);
  input.resize(count(t.stem.columns_p), 0.0f);
  return input;
}

void launch(const std::vector<EncodeJob>& jobs, simt::Order order = simt::Order::kAscending) {
  size_t shared_bytes = 0;
  for (const EncodeJob& job : jobs) {
    if (job.tower) shared_bytes = std::max(shared_bytes, ts::cuda::encode_shared_bytes(*job.tower));
  }
  simt::launch("encode_step_kernel", dim3(1, static_cast<unsigned>(jobs.size())), dim3(ts::cuda::kEncodeThreads),
               shared_bytes, {order, 7}, [&] { ts::cuda::encode_step_kernel({jobs.data()}); });
}

void step(Stream& stream, const std::vector<float>& input, simt::Order order = simt::Order::kAscending) {
  launch({stream.job(input)}, order);
  ++stream.step;
}

void step_on_cpu(const ts::KernelTable& kernels, Stream& stream, const std::vector<float>& input) {
  std::vector<float> scratch(count(ts::encode_scratch(*stream.tower)));
  kernels.encode_step({stream.tower,
                       stream.state.data(),
                       stream.step,
                       input.data(),
                       scratch.data(),
                       stream.feature.data(),
                       stream.output.data(),
                       {}});
  ++stream.step;
}

template <class T>
double difference(const std::vector<float>& a, const std::vector<T>& b) {
  double most = a.size() == b.size() ? 0 : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const double d = std::abs(double{a[i]} - double{b[i]});
    if (!(d <= most)) most = d;  // NaN is the most
  }
  return most;
}

bool same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0;
}

// ---- the oracle: tests/reference/encode.py in C++, from the weights as the file has them ----

using Vector = std::vector<double>;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

Vector linear(const LinearWeights& w, const Vector& x) {
  Vector y(w.bias.begin(), w.bias.end());
  for (size_t row = 0; row < y.size(); ++row) {
    for (size_t c = 0; c < x.size(); ++c) y[row] += double{w.weight[row * x.size() + c]} * x[c];
  }
  return y;
}

Vector norm(const Vector& x) {
  double mean = 0, variance = 0;
  for (double v : x) mean += v / static_cast<double>(x.size());
  for (double v : x) variance += (v - mean) * (v - mean) / static_cast<double>(x.size());
  Vector y;
  for (double v : x) y.push_back((v - mean) / std::sqrt(variance + 1e-5));
  return y;
}

void add(Vector& x, const Vector& y) {
  for (size_t i = 0; i < x.size(); ++i) x[i] += y[i];
}

class Oracle {
 public:
  explicit Oracle(const TowerWeights& weights) : w_(weights), past_(weights.layers.size()) {}

  void step(const std::vector<float>& input, Vector& feature, Vector& output) {
    Vector x = linear(w_.stem, Vector(input.begin(), input.begin() + w_.inputs));
    for (size_t i = 0; i < past_.size(); ++i) {
      const LayerWeights& l = w_.layers[i];
      add(x, linear(l.out, attend(l, past_[i], linear(l.qkv, norm(x)))));
      add(x, linear(l.mix, convolve(l, past_[i], linear(l.gate, norm(x)))));
      Vector hidden = linear(l.up, norm(x));
      for (double& h : hidden) h *= sigmoid(h);
      add(x, linear(l.down, hidden));
    }
    feature = norm(x);
    output = linear(w_.head, feature);
  }

 private:
  struct Past {
    std::vector<Vector> key, value, gated;  // of every step so far
  };

  Vector attend(const LayerWeights& l, Past& past, const Vector& qkv) const {
    const size_t width = count(w_.width), d = width / count(w_.heads);
    const auto part = [&](size_t i) { return Vector(&qkv[i * width], &qkv[i * width] + width); };
    past.key.push_back(part(1)), past.value.push_back(part(2));
    const size_t n = std::min(past.key.size(), count(w_.window));
    Vector read(width, 0.0);
    for (size_t h = 0; h < count(w_.heads); ++h) {
      Vector weight(n);
      double total = 0;
      for (size_t age = 0; age < n; ++age) {
        double score = 0;
        for (size_t c = h * d; c < (h + 1) * d; ++c) score += qkv[c] * past.key[past.key.size() - 1 - age][c];
        score = score / std::sqrt(static_cast<double>(d)) + double{l.age_bias[h * count(w_.window) + age]};
        total += weight[age] = std::exp(score);
      }
      for (size_t age = 0; age < n; ++age) {
        const Vector& value = past.value[past.value.size() - 1 - age];
        for (size_t c = h * d; c < (h + 1) * d; ++c) read[c] += weight[age] / total * value[c];
      }
    }
    return read;
  }

  Vector convolve(const LayerWeights& l, Past& past, const Vector& gate) const {
    const size_t width = count(w_.width);
    Vector gated(width), y(width);
    for (size_t c = 0; c < width; ++c) gated[c] = gate[c] * sigmoid(gate[width + c]);
    past.gated.push_back(gated);
    for (size_t c = 0; c < width; ++c) {
      y[c] = double{l.conv_bias[c]};
      for (size_t age = 0; age < std::min(past.gated.size(), count(w_.taps)); ++age)
        y[c] += double{l.conv_weight[c * count(w_.taps) + age]} * past.gated[past.gated.size() - 1 - age][c];
      y[c] *= sigmoid(y[c]);
    }
    return y;
  }

  const TowerWeights& w_;
  std::vector<Past> past_;
};

// ---- the tests ----

// A stream from its first step until its rings have come round.
void test_shape(const Shape& shape, const ts::KernelTable& cpu) {
  const Voice voice(shape);
  const EncodeTower& t = voice.tower();
  Stream stream(t), descending(t), random(t), on_cpu(t);
  Oracle oracle(voice.weights);
  std::mt19937 numbers(2);
  double from_oracle = 0, from_cpu = 0;
  for (int i = 0; i < std::min(shape.window + 3, kMostSteps); ++i) {
    const std::vector<float> input = random_input(t, 2 * shape.mels, numbers);
    step(stream, input);
    step(descending, input, simt::Order::kDescending);
    step(random, input, simt::Order::kRandom);
    for (const Stream* other : {&descending, &random})
      CHECK(same_bits(stream.feature, other->feature) && same_bits(stream.output, other->output));

    Vector feature, output;
    oracle.step(input, feature, output);
    feature.resize(count(t.width_p), 0.0), output.resize(count(t.outputs_p), 0.0);  // padding comes out as zeros
    from_oracle = std::max({from_oracle, difference(stream.feature, feature), difference(stream.output, output)});
    step_on_cpu(cpu, on_cpu, input);
    from_cpu =
        std::max({from_cpu, difference(stream.feature, on_cpu.feature), difference(stream.output, on_cpu.output)});
  }
  CHECK(stream.rings == descending.rings && stream.rings == random.rings);
  CHECK_MESSAGE(from_oracle <= kFromOracle, std::string(shape.name) + ": too far from float64");
  CHECK_MESSAGE(from_cpu <= kFromCpu, std::string(shape.name) + ": too far from the CPU's kernel");
  std::printf("%-10s from float64 %.1e, from the CPU's %s %.1e\n", shape.name, from_oracle, cpu.isa, from_cpu);
}

// What differs by roundings stays so over a long stream: nothing of it lives longer than the rings.
void test_long_stream(const ts::KernelTable& cpu) {
  const Voice voice(kShipped);
  Stream stream(voice.tower()), on_cpu(voice.tower());
  std::mt19937 numbers(3);
  double most = 0;
  for (int i = 0; i < kMostSteps; ++i) {
    const std::vector<float> input = random_input(voice.tower(), 2 * kShipped.mels, numbers);
    step(stream, input);
    step_on_cpu(cpu, on_cpu, input);
    most = std::max({most, difference(stream.feature, on_cpu.feature), difference(stream.output, on_cpu.output)});
  }
  CHECK_MESSAGE(most <= kFromCpu, "a long stream: " + std::to_string(most) + " from the CPU's kernel");
}

// The number of a step is a 64-bit one, and a year of steps is past 32 bits.
void test_far_into_a_stream(const ts::KernelTable& cpu) {
  const Voice voice(kShipped);
  std::mt19937 numbers(4);
  for (int64_t first : {int64_t{1} << 31, (int64_t{1} << 40) - 3}) {
    Stream stream(voice.tower()), on_cpu(voice.tower());
    for (size_t r = 0; r < stream.rings.size(); ++r) {
      const std::vector<float> past = normal(numbers, stream.rings[r].size(), 1.0f);
      std::copy(past.begin(), past.end(), stream.rings[r].begin());
      std::copy(past.begin(), past.end(), on_cpu.rings[r].begin());
    }
    stream.step = on_cpu.step = first;
    for (int i = 0; i < 5; ++i) {
      const std::vector<float> input = random_input(voice.tower(), 2 * kShipped.mels, numbers);
      step(stream, input);
      step_on_cpu(cpu, on_cpu, input);
      CHECK(difference(stream.output, on_cpu.output) <= kFromCpu);
    }
    for (size_t r = 0; r < stream.rings.size(); ++r) CHECK(difference(stream.rings[r], on_cpu.rings[r]) <= kFromCpu);
  }
}

// Streams of one voice and of others, at steps of their own, in one launch: each gets the bits that it gets alone. One of
// them hears what is no number, one has nothing to do.
void test_many_in_one_launch(simt::Order order) {
  std::vector<std::unique_ptr<Voice>> voices;
  for (size_t v = 0; v < std::size(kShapes) - 2; ++v) voices.push_back(std::make_unique<Voice>(kShapes[v], 5 + v));
  voices.push_back(std::make_unique<Voice>(kShipped, 20));
  std::vector<std::unique_ptr<Stream>> together, alone;
  for (size_t i = 0; i < 9; ++i) {
    const EncodeTower& t = voices[i % voices.size()]->tower();
    together.push_back(std::make_unique<Stream>(t));
    alone.push_back(std::make_unique<Stream>(t));
  }
  constexpr size_t kDeaf = 4;
  std::mt19937 numbers(6);
  for (int turn = 0; turn < 4; ++turn) {
    std::vector<std::vector<float>> inputs;
    for (const auto& s : together)
      inputs.push_back(random_input(*s->tower, s->tower->stem.columns_p < 4 ? 1 : 2, numbers));
    inputs[kDeaf][0] = turn % 2 ? NAN : INFINITY;
    std::vector<EncodeJob> jobs;
    for (size_t i = 0; i < together.size(); ++i) {
      if (static_cast<int>(i % 3) > turn) continue;  // comes later
      jobs.push_back(together[i]->job(inputs[i]));
      if (i == 2) jobs.emplace_back();
    }
    launch(jobs, order);
    for (size_t i = 0; i < together.size(); ++i) {
      if (static_cast<int>(i % 3) > turn) continue;
      ++together[i]->step;
      step(*alone[i], inputs[i]);
      CHECK(same_bits(together[i]->feature, alone[i]->feature) && same_bits(together[i]->output, alone[i]->output));
      CHECK(std::isfinite(together[i]->output[0]) == (i != kDeaf));
    }
  }
}

void test_shared_memory() {
  // The widest tower that a file may have.
  EncodeTower t;
  t.width_p = 512, t.hidden_p = 2048, t.window_p = 256, t.stem.columns_p = 256, t.n_layers = 8;
  CHECK(ts::cuda::encode_shared_bytes(t) <= 23 << 10);
}

}  // namespace

int main() {
  const ts::KernelTable* cpu = nullptr;
  if (!CHECK(ts::find_kernels(nullptr, &cpu).ok())) return ts_test::report("test_encode");
  for (const Shape& shape : kShapes) test_shape(shape, *cpu);
  test_long_stream(*cpu);
  test_far_into_a_stream(*cpu);
  for (const simt::Order order : simt::kOrders) test_many_in_one_launch(order);
  test_shared_memory();
  return ts_test::report("test_encode");
}
