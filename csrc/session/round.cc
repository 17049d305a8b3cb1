// SPDX-License-Identifier: Apache-2.0
#include "session/round.h"

#include <ctime>
#include <exception>
#include <utility>

#include "session/session_clock.h"

namespace ts {
namespace {

template <class Call>
Status caught(const Call& call) {
  try {
    return call();
  } catch (const std::exception& e) {  // no memory: on the scheduler's thread nobody else would hear of it
    return error(StatusCode::kOutOfMemory, "a frame of a session could not be drawn: %s.", e.what());
  }
}

}  // namespace

int64_t thread_cpu_ns() {
  timespec used{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return int64_t{used.tv_sec} * 1'000'000'000 + used.tv_nsec;
}

Round::Round(Backend& backend) : backend_(backend) {
  const size_t n = backend.batch();
  hearing_.reserve(n), steps_.reserve(n);
  drawn_.reserve(n), calls_.reserve(n), before_.reserve(n), status_.reserve(n);
}

void Round::make(const std::vector<Worked*>& sessions, int64_t now, int64_t free_ns) {
  Turn turn;
  turn.begun_ns = now, turn.free_ns = free_ns, turn.begun_cpu_ns = thread_cpu_ns();
  if (sessions.size() > 1) hear(sessions, now);
  drawn_.clear(), calls_.clear(), before_.clear(), status_.clear();
  for (Worked* session : sessions) {
    RenderJob job;
    if (!session->begin(turn, job)) continue;
    DrawCall call;
    Status prepared = caught([&] { return prepare(job, call); });
    if (!prepared.ok()) {
      session->finish(turn, std::move(prepared));
      continue;
    }
    drawn_.push_back(session);
    calls_.push_back(call);
    before_.push_back(*call.receipt);
  }
  if (drawn_.empty()) return;
  const bool by_device = backend_.batch() > 1;
  const int64_t drawing_ns = now_ns(), drawing_cpu_ns = thread_cpu_ns();
  draw();
  if (by_device) turn.waited_ns = now_ns() - drawing_ns - (thread_cpu_ns() - drawing_cpu_ns);
  turn.frames = static_cast<int64_t>(drawn_.size());
  for (size_t i = 0; i < drawn_.size(); ++i) drawn_[i]->finish(turn, std::move(status_[i]));
}

// Where the steps cannot be run, each session learns so by itself: it has the same to hear when it begins.
void Round::hear(const std::vector<Worked*>& sessions, int64_t now) {
  hearing_.clear(), steps_.clear();
  for (Worked* session : sessions) {
    EncodeCall steps;
    if (!session->gather(now, steps)) continue;
    hearing_.push_back(session);
    steps_.push_back(steps);
  }
  if (steps_.empty() || !caught([&] { return backend_.encode(steps_.data(), steps_.size()); }).ok()) return;
  for (Worked* session : hearing_) session->heard();
}

// Where they cannot be drawn together, it is found out who cannot be drawn.
void Round::draw() {
  const size_t n = calls_.size();
  Status together = caught([&] { return backend_.draw(calls_.data(), n); });
  status_.resize(n);
  if (together.ok()) return;
  if (n == 1) {
    status_[0] = std::move(together);
    return;
  }
  for (size_t i = 0; i < n; ++i) {
    *calls_[i].receipt = before_[i];
    status_[i] = caught([&] { return backend_.draw(&calls_[i], 1); });
  }
}

}  // namespace ts
