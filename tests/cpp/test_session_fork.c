/* SPDX-License-Identifier: Apache-2.0 */
/* fork() with a session that runs: a child is told so, destroys it, or makes its own, and never waits for a lock that
 * nobody there holds. Its arguments are an avatar that speaks and a voice. */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "session_c.h"

/* AddressSanitizer's heap may be locked by a thread that a child does not have (libc's is unlocked by fork(); the
 * sanitizer's is since LLVM 18): with it no other thread talks while a child is made. */
#if defined(__SANITIZE_ADDRESS__)
enum { TALKS_ACROSS_FORKS = 0 };
#else
enum { TALKS_ACROSS_FORKS = 1 };
#endif

enum { FORKS = 8, PATIENCE_S = 60 };

static stage on;
static ts_session* session;
static const char *avatar_path, *voice_path;
static atomic_int stop, taken;

static ts_session_params live_params(void) {
  ts_session_params params = small_params();
  params.clock = TS_CLOCK_REAL;
  params.latency_ms = 5000; /* whatever else this machine does */
  return params;
}

static void talk_a_while(void) {
  ts_live_frame frame;
  memset(&frame, 0, sizeof frame);
  frame.struct_size = sizeof frame;
  push(session, on.sound, 400);
  if (ts_session_acquire(session, 50 * (int64_t)MS, &frame) == TS_OK && ts_session_release(session, &frame) == TS_OK)
    ++taken;
  ts_session_interrupt(session, 20, NULL);
}

/* A thread of the parent's, so that forks come at any moment of a push or an acquire. */
static void* talk(void* unused) {
  (void)unused;
  while (!stop) talk_a_while();
  return NULL;
}

static void wait_for_the_talker(void) {
  const struct timespec pause = {0, 7000000};
  if (TALKS_ACROSS_FORKS)
    nanosleep(&pause, NULL);
  else
    talk_a_while();
}

/* What a child does: each returns 0, or the number of the check that failed. */
static int is_told(void) {
  const ts_presence presence = ts_presence_default();
  const ts_session_params params = live_params();
  ts_session* other = NULL;
  ts_session_stats stats;
  ts_live_frame frame;
  int64_t n = 7;
  memset(&stats, 0, sizeof stats);
  stats.struct_size = sizeof stats;
  memset(&frame, 0, sizeof frame);
  frame.struct_size = sizeof frame;
  if (push(session, on.sound, 9) != TS_DEVICE_ERROR) return 1;
  if (!strstr(ts_last_error(), "made before fork()")) return 2;
  if (ts_session_push_controls(session, on.sound, 0) != TS_DEVICE_ERROR) return 3;
  if (ts_session_push_features(session, on.sound, 0) != TS_DEVICE_ERROR) return 4;
  if (ts_session_flush(session) != TS_DEVICE_ERROR) return 5;
  if (ts_session_interrupt(session, 0, &n) != TS_DEVICE_ERROR || n != -1) return 6;
  if (ts_session_set(session, &presence) != TS_DEVICE_ERROR) return 7;
  if (ts_session_acquire(session, -1, &frame) != TS_DEVICE_ERROR) return 8;
  if (ts_session_release(session, &frame) != TS_DEVICE_ERROR) return 9;
  if (ts_session_set_callback(session, NULL, NULL) != TS_DEVICE_ERROR) return 10;
  if (ts_session_get_stats(session, &stats) != TS_DEVICE_ERROR) return 11;
  if (ts_session_close(session) != TS_DEVICE_ERROR) return 12;
  if (ts_session_abort(session) != TS_DEVICE_ERROR) return 13;
  if (ts_session_create(on.avatar, on.voice, &params, &other, NULL) != TS_DEVICE_ERROR || other) return 14;
  if (ts_engine_step(on.engine, 0, &n) != TS_DEVICE_ERROR) return 15;
  if (ts_now_ns() <= 0) return 16;
  return 0;
}

static int destroys(void) {
  ts_session_destroy(session);
  close_stage(&on);
  return 0;
}

/* ThreadSanitizer knows no threads of a child: one whose id the parent used stops it. */
#if defined(__SANITIZE_THREAD__)
static int makes_its_own(void) { return 0; }
#else
static int makes_its_own(void) {
  const ts_session_params params = live_params();
  static stage own;
  ts_session* talks = NULL;
  int i;
  if (!open_stage(&own, avatar_path, voice_path)) return 1;
  if (ts_session_create(own.avatar, own.voice, &params, &talks, NULL) != TS_OK) return 2;
  for (i = 0; i < 2; ++i)
    if (take(talks, -1, NULL) != TS_OK) return 3;
  ts_session_destroy(talks);
  close_stage(&own);
  return 0;
}

#endif

static int all_of_it(void) {
  const int told = is_told(), made = makes_its_own();
  return told ? told : made ? 20 + made : destroys();
}

static void give_up(int number) { _exit(number); }

static int in_child(int (*life)(void)) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGALRM, give_up);
    alarm(PATIENCE_S);
    _exit(life());
  }
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

int main(int argc, char** argv) {
  const ts_session_params params = live_params();
  pthread_t talker;
  int i, before;
  if (argc != 3) return 2;
  avatar_path = argv[1], voice_path = argv[2];
  if (!open_stage(&on, avatar_path, voice_path)) return report("test_session_fork");
  session = session_of(&on, &params);
  CHECK(take(session, -1, NULL) == TS_OK); /* it runs */
  CHECK(in_child(is_told) == 0);
  CHECK(in_child(destroys) == 0);
  if (TALKS_ACROSS_FORKS) CHECK(pthread_create(&talker, NULL, talk, NULL) == 0);
  for (i = 0; i < FORKS; ++i) {
    wait_for_the_talker();
    CHECK(in_child(all_of_it) == 0);
  }
  before = taken;
  for (i = 0; i < 1000 && taken == before; ++i) wait_for_the_talker();
  CHECK(taken > before); /* the parent goes on */
  stop = 1;
  if (TALKS_ACROSS_FORKS) CHECK(pthread_join(talker, NULL) == 0);
  CHECK_ERROR(ts_session_interrupt(session, 2001, NULL), TS_INVALID_ARGUMENT, "fade_ms");
  ts_session_destroy(session);
  close_stage(&on);
  return report("test_session_fork");
}
