// SPDX-License-Identifier: Apache-2.0
#include "session/session.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <limits>
#include <utility>

namespace ts {
namespace {

constexpr double kLeastFps = 20, kMostFps = 60;  // of speech
constexpr int kTrials = 24, kRounds = 3;         // of drawing, before a latency is promised
constexpr uint64_t kEnough = 250;                // frames, after which a session's own p99 is taken for it
// Of the drawing thread's time, for all sessions. Pushing and taking frames needs the CPU too, and frames between pauses
// cost more than those that are measured in a row: on two cores sessions that were promised 0.75 had late frames.
constexpr double kMostLoad = 0.7;
constexpr double kNsPerMs = 1e6;
constexpr int64_t kForeverNs = int64_t{1} << 60;  // 36 years

SessionParams completed(SessionParams params, const Model& model) {
  const auto own = static_cast<double>(model.file().fps);
  if (params.fps == 0) params.fps = own >= kLeastFps && own <= kMostFps ? own : 25;
  if (params.canvas.width == 0 && params.canvas.height == 0)
    params.canvas.width = model.file().width, params.canvas.height = model.file().height;
  params.canvas.alpha = params.canvas.depth = false;
  params.drive.fps = params.fps;
  return params;
}

Status taken_by_callback() {
  return error(StatusCode::kInvalidArgument, "acquire: this session's frames go to a callback. Take it away first.");
}

}  // namespace

Session::Session(std::shared_ptr<const Model> model, std::shared_ptr<const Voice> voice, const SessionParams& params)
    : model_(std::move(model)),
      voice_(std::move(voice)),
      params_(completed(params, *model_)),
      clock_(params_.fps),
      speaker_(model_, voice_, params_.drive, params_.idle == Idle::kStill),
      utterances_(speaker_.feature_floats(), model_->layout().size()),
      slots_(params_.slots, params_.canvas),
      rate_hz_(params_.rate_hz),
      channels_(params_.channels) {
  for (int i = 0; i < kArkitWeights + 2; ++i) has_place_[i] = speaker_.has_place(i);
  counts_.has_place = has_place_;
  make_sound_room(rate_hz_, channels_);
}

Status Session::make(std::shared_ptr<const Model> model, std::shared_ptr<const Voice> voice,
                     const SessionParams& params, std::shared_ptr<Session>& session, double& smallest_ms) {
  std::shared_ptr<Session> made(new Session(std::move(model), std::move(voice), params));
  TS_RETURN_IF_ERROR(made->prepare(params.background));
  std::shared_ptr<Scheduler> scheduler = Scheduler::of(made->model_->shared_backend());
  // One at a time: each is measured with those that were promised something before.
  const std::lock_guard<std::mutex> alone(scheduler->promising());
  TS_RETURN_IF_ERROR(made->promise(*scheduler, smallest_ms));
  made->scheduler_ = scheduler;
  scheduler->add(*made);
  session = std::move(made);
  return {};
}

Session::~Session() {
  if (scheduler_) scheduler_->remove(*this);
}

Status Session::prepare(const Background* background) {
  const Canvas& canvas = params_.canvas;
  TS_RETURN_IF_ERROR(check_size(canvas.format, canvas.width, canvas.height));
  if (params_.feature_look_ahead_ms > 0) TS_RETURN_IF_ERROR(speaker_.check_features());
  TS_RETURN_IF_ERROR(Frame::make(model_, canvas, frame_));
  own_background_ = background == nullptr;
  if (!background) return {};
  TS_RETURN_IF_ERROR(check(*background));
  if (background->color) {
    background_values_.assign(background->color, background->color + 3);
    background_.color = background_values_.data();
  } else if (background->image_f32) {
    background_values_.assign(background->image_f32, background->image_f32 + int64_t{3} * canvas.width * canvas.height);
    background_.image_f32 = background_values_.data();
    background_.constant = true;
  }
  return {};
}

RenderJob Session::job_of(const float* control, LiveFrame& frame) {
  RenderJob job;
  job.frame = frame_.get();
  job.control = control;
  job.background = own_background_ ? nullptr : &background_;
  job.image = frame.image;
  job.receipt = &frame.receipt;
  return job;
}

// ---- the promise ----

// Draws what the session will draw, as it will: life as it goes on, and a network's windows never the same.
Status Session::measure() {
  Speaker speaker(model_, voice_, params_.drive, false);
  std::unique_ptr<Speech> speech;
  if (speaker.check_sound().ok()) speech = speaker.make_speech(kListenHz, 1);
  const auto sound = std::vector<float>(static_cast<size_t>(kListenHz / params_.fps) + 1, 0.01f);
  std::vector<float> control(static_cast<size_t>(model_->layout().size()));
  std::vector<int64_t> took, busy;  // busy: without waiting for frames of others
  LiveFrame& frame = slots_.take();
  const int trials = real_clock() ? kTrials : 1;
  for (int i = 0; i < trials + 2; ++i) {  // the first two claim memory
    // As frames come: with a pause between them, in which sessions that are open take their turn.
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    const int64_t begun = now_ns();
    if (speech)
      TS_RETURN_IF_ERROR(speech->push_sound(SampleFormat::kF32, sound.data(), static_cast<int64_t>(sound.size())));
    while (speech && speech->ready() > 0) speech->drop_frame();
    std::copy_n(speaker.wait(7 * i), control.size(), control.begin());
    speaker.change_windows(0.1f * static_cast<float>(i), control.data());
    const int64_t driven = now_ns();
    frame.receipt = {};
    const RenderJob job = job_of(control.data(), frame);
    TS_RETURN_IF_ERROR(render(&job, 1));
    if (i < 2) continue;
    took.push_back(now_ns() - begun);
    busy.push_back(driven - begun + std::llround(1e3 * static_cast<double>(frame.receipt.total_us)));
  }
  slots_.drop();
  std::sort(took.begin(), took.end());
  std::sort(busy.begin(), busy.end());
  measured_median_ns_ = busy[busy.size() / 2];
  measured_p99_ns_ = measured_p99_ns_ == 0 ? took.back() : std::min(measured_p99_ns_, took.back());
  return {};
}

Status Session::promise(const Scheduler& scheduler, double& smallest_ms) {
  const double frame_ms = 1000 / params_.fps, look_ahead_ms = this->look_ahead_ms();
  Scheduler::Promised others;
  if (real_clock()) {
    for (int round = 0; round < kRounds; ++round) {
      TS_RETURN_IF_ERROR(measure());
      others = scheduler.promised();
      const double drawing_ms = static_cast<double>(measured_p99_ns_ + others.cost_ns) / kNsPerMs;
      smallest_ms_ = params_.chunk_ms + look_ahead_ms + frame_ms + drawing_ms;
      if (smallest_ms_ <= params_.latency_ms) break;
    }
  } else {
    TS_RETURN_IF_ERROR(measure());  // so that memory is claimed here, too
    measured_p99_ns_ = 0;
    smallest_ms_ = params_.chunk_ms + look_ahead_ms + frame_ms;
  }
  smallest_ms = smallest_ms_;
  const int64_t drawing_ns = measured_p99_ns_ + others.cost_ns;
  const double load = others.load + static_cast<double>(measured_median_ns_) * params_.fps / 1e9;
  if (real_clock() && (load > kMostLoad || drawing_ns > others.least_budget_ns)) {
    smallest_ms = std::numeric_limits<double>::infinity();
    if (load <= kMostLoad)
      return error(
          StatusCode::kLatencyRefused,
          "a session that is open could not keep its latency with this one: it leaves %.1f ms for drawing, and "
          "all of them would take %.1f (p99). Give that one more, or use another engine.",
          static_cast<double>(others.least_budget_ns) / kNsPerMs, static_cast<double>(drawing_ns) / kNsPerMs);
    return error(StatusCode::kLatencyRefused,
                 "this engine has no time for one session more: with it, drawing would take %.0f %% of every second. "
                 "Close one, draw fewer or smaller frames, or use another engine.",
                 100 * load);
  }
  // A millionth is rounding's.
  if (smallest_ms_ > params_.latency_ms * (1 + 1e-6)) {
    char of_features[64] = "";
    if (params_.feature_look_ahead_ms > 0)
      std::snprintf(of_features, sizeof of_features, ", %.1f of it feature_look_ahead_ms",
                    params_.feature_look_ahead_ms);
    return error(
        StatusCode::kLatencyRefused,
        "latency_ms must be at least %.1f here: %g (chunk_ms) + %.1f (look-ahead%s) + %.1f (a frame at %g fps) + "
        "%.1f (drawing, p99, with %d sessions that are open); got %g. Ask for more, push smaller chunks, or "
        "raise fps.",
        std::ceil(10 * smallest_ms_) / 10, params_.chunk_ms, look_ahead_ms, of_features, frame_ms, params_.fps,
        static_cast<double>(drawing_ns) / kNsPerMs, scheduler.sessions(), params_.latency_ms);
  }
  hold_ns_ = std::llround((params_.latency_ms - params_.chunk_ms) * kNsPerMs);
  if (real_clock()) {
    const int64_t spare_ns = std::llround((params_.latency_ms - smallest_ms_) * kNsPerMs) + drawing_ns;
    drawing_budget_ns_ = spare_ns;
    starve_ns_ = drawing_ns;
    ahead_ns_ = std::min(clock_.period_ns(), spare_ns);
  }
  return {};
}

bool Session::ended() const {
  const std::lock_guard<std::mutex> lock(state_);
  return done_ || failure_.code() != StatusCode::kOk;
}

int64_t Session::cost_p99_ns() const {
  const std::lock_guard<std::mutex> lock(state_);
  return alone_.n() < kEnough ? measured_p99_ns_ : static_cast<int64_t>(alone_.percentile(0.99));
}

double Session::load() const {
  const std::lock_guard<std::mutex> lock(state_);
  const double median = share_.n() < kEnough ? static_cast<double>(measured_median_ns_) : share_.percentile(0.5);
  return median * params_.fps / 1e9;
}

// ---- what goes out ----

Status Session::acquire(int64_t timeout_ns, LiveFrame& frame) {
  std::unique_lock<std::mutex> lock(state_);
  if (callback_) return taken_by_callback();
  const bool waits = real_clock() && timeout_ns != 0;
  if (real_clock() && !clock_.started()) {
    clock_.start(now_ns() + clock_.period_ns() + starve_ns_);
    lock.unlock();
    scheduler_->wake();
    lock.lock();
  }
  const auto there = [this] {
    return slots_.waiting() > 0 || done_ || callback_ || failure_.code() != StatusCode::kOk;
  };
  if (waits && (timeout_ns < 0 || timeout_ns > kForeverNs)) {
    changed_.wait(lock, there);
  } else if (waits) {
    changed_.wait_for(lock, std::chrono::nanoseconds(timeout_ns), there);
  }
  if (callback_) return taken_by_callback();
  if (slots_.waiting() > 0 && !aborted_) {
    frame = slots_.lend();
    return {};
  }
  if (failure_.code() != StatusCode::kOk) return failure_;
  if (done_) return Status(StatusCode::kClosed, "closed");  // so short, they allocate nothing
  return Status(StatusCode::kTimeout, "no frame yet");
}

Status Session::release(uint32_t slot, int64_t index) {
  {
    const std::lock_guard<std::mutex> lock(state_);
    if (!slots_.release(slot, index))
      return error(StatusCode::kInvalidArgument,
                   "release: frame %lld in slot %u is not lent. Pass a frame as acquire gave it, once.",
                   static_cast<long long>(index), slot);
  }
  scheduler_->wake();
  return {};
}

Status Session::set_callback(LiveCallback callback, void* user) {
  {
    std::unique_lock<std::mutex> lock(state_);
    if (callback_thread_ != std::this_thread::get_id()) changed_.wait(lock, [this] { return !in_callback_; });
    callback_ = callback, user_ = user;
    if (callback && real_clock() && !clock_.started()) clock_.start(now_ns() + clock_.period_ns() + starve_ns_);
  }
  changed_.notify_all();
  scheduler_->wake();
  return {};
}

SessionStats Session::stats() const {
  const int sessions = scheduler_->sessions();
  const std::lock_guard<std::mutex> lock(state_);
  SessionStats stats = counts_;
  stats.sessions = sessions;
  stats.fps = params_.fps, stats.latency_ms = params_.latency_ms, stats.smallest_latency_ms = smallest_ms_;
  stats.look_ahead_ms = look_ahead_ms();
  stats.p50_ms = delay_.percentile(0.5) / kNsPerMs;
  stats.p95_ms = delay_.percentile(0.95) / kNsPerMs;
  stats.p99_ms = delay_.percentile(0.99) / kNsPerMs;
  stats.max_ms = static_cast<double>(delay_.max_ns()) / kNsPerMs;
  stats.queued_ms = 1000 * utterances_.queued_s();
  stats.bytes = slots_.bytes() + frame_->bytes() + utterances_.bytes() + speaker_.bytes() + tail_.sample.bytes() +
                carried_.sample.bytes();
  return stats;
}

}  // namespace ts
