// SPDX-License-Identifier: Apache-2.0
// A session and the frames that it lends, for Python. A session may be used by several threads at once; nobody is
// inside it when it is destroyed, since whoever calls it, and every frame, holds it.
#pragma once
#include <memory>

#include "bind.h"

namespace ts::bind {

class Session {
 public:
  // avatar: kept, so that what its frames point to is there.
  Session(std::shared_ptr<Avatar> avatar, const Voice* voice, const ts_session_params& params);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  ts_session* get() const { return session_; }
  double smallest_ms() const { return smallest_ms_; }
  bool waits() const { return waits_; }  // for frames: not where they are made on the caller's clock
  ts_avatar_info avatar_info() const { return avatar_->info(); }
  ts_session_stats stats() const;

 private:
  std::shared_ptr<Avatar> avatar_;
  ts_session* session_ = nullptr;
  double smallest_ms_ = 0;
  bool waits_;
};

// Given back when it is released or, at the latest, when neither it nor a view of its picture is left.
class LiveFrame {
 public:
  explicit LiveFrame(std::shared_ptr<Session> session);
  ~LiveFrame();
  LiveFrame(const LiveFrame&) = delete;
  LiveFrame& operator=(const LiveFrame&) = delete;

  // Runs without the GIL; TS_OK lends it.
  ts_status acquire(int64_t timeout_ns) noexcept;
  void keep_samples();  // they may move once the frame is released
  void release();

  const ts_live_frame& get() const { return frame_; }
  const py::array& samples() const { return samples_; }

 private:
  std::shared_ptr<Session> session_;
  ts_live_frame frame_{};
  bool lent_ = false;
  py::array samples_;
};

}  // namespace ts::bind
