// SPDX-License-Identifier: Apache-2.0
// without_gil — work that leaves the interpreter to Python's other threads. pybind11's gil_scoped_release takes the GIL
// back in a destructor, and a destructor may not be left by an exception: see ParkOnUnwind.
#pragma once
#include <Python.h>
#include <unistd.h>

#include <utility>

namespace ts::bind {

// Before Python 3.14 a daemon thread that wants the GIL while the interpreter ends is ended by pthread_exit, which
// unwinds its stack: on the way lie functions that must not be left so (the process would abort) and Python objects
// that may no longer be touched. The thread stops here instead, for the moment that the process has left, as it does
// in Python 3.14. Where pthread_exit does not unwind (musl), nothing is run and nothing is wrong.
class ParkOnUnwind {
 public:
  ParkOnUnwind() = default;
  ~ParkOnUnwind() {
    while (parks_) pause();
  }
  ParkOnUnwind(const ParkOnUnwind&) = delete;
  ParkOnUnwind& operator=(const ParkOnUnwind&) = delete;
  void disarm() { parks_ = false; }

 private:
  bool parks_ = true;
};

inline void take_gil(PyThreadState* state) {
  ParkOnUnwind guard;
  PyEval_RestoreThread(state);
  guard.disarm();
}

// What body() returns; it throws nothing and leaves no lock held.
template <class Body>
auto without_gil(Body&& body) {
  PyThreadState* const state = PyEval_SaveThread();
  const auto result = [&]() noexcept { return std::forward<Body>(body)(); }();
  take_gil(state);
  return result;
}

// For destructors that may wait: they run with the GIL or without it, on threads that Python has never seen, and when it
// has ended. PyGILState_Check() alone says yes to the last two.
template <class Body>
void without_gil_if_held(Body&& body) {
  if (Py_IsInitialized() && PyGILState_GetThisThreadState() && PyGILState_Check()) {
    without_gil([&] {
      body();
      return 0;
    });
  } else {
    body();
  }
}

}  // namespace ts::bind
