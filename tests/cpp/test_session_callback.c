/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions whose frames go to a callback, and the order in which several are served. Its arguments are an avatar that
 * speaks and a voice. */
#include "session_c.h"

enum { MOST = 80, END_MS = 2200 };

static kept acquired[MOST], called[MOST];

typedef struct listener {
  const stage* on;
  ts_session* session;
  int n, stop_after; /* stop_after: 0: never */
} listener;

static int keep_all(void* user, const ts_live_frame* frame) {
  listener* me = user;
  if (me->n < MOST) keep(called + me->n, frame);
  ++me->n;
  return me->stop_after == 0 || me->n < me->stop_after;
}

/* What would wait for the callback's own end is refused. */
static int mistaken(void* user, const ts_live_frame* frame) {
  listener* me = user;
  ++me->n;
  CHECK_ERROR(ts_session_set_callback(me->session, NULL, NULL), TS_INVALID_ARGUMENT, "may not replace itself");
  CHECK_ERROR(ts_engine_step(me->on->engine, frame->times.deadline_ns, NULL), TS_INVALID_ARGUMENT, "may not step");
  CHECK(ts_session_interrupt(me->session, 0, NULL) == TS_OK); /* this may be done */
  return 1;
}

static void test_frames(const stage* on) {
  const ts_session_params params = small_params();
  ts_session *plain = session_of(on, &params), *session = session_of(on, &params);
  listener all = {NULL, NULL, 0, 0}, few = {NULL, NULL, 0, 5}, wrong = {NULL, NULL, 0, 0};
  int64_t made = 0;
  int n, i;
  all.on = few.on = wrong.on = on;
  CHECK(push(plain, on->sound, N_SOUND) == TS_OK && ts_session_flush(plain) == TS_OK);
  CHECK(push(session, on->sound, N_SOUND) == TS_OK && ts_session_flush(session) == TS_OK);
  CHECK(ts_session_set_callback(session, keep_all, &all) == TS_OK);
  CHECK_ERROR(take(session, 0, NULL), TS_INVALID_ARGUMENT, "callback");
  n = run_to(on, plain, 0, END_MS, acquired, MOST);
  CHECK(n == 51 && all.n == n);
  for (i = 0; i < n; ++i) CHECK(same_frame(acquired + i, called + i));
  ts_session_destroy(plain);

  CHECK(ts_session_set_callback(session, NULL, NULL) == TS_OK); /* frames are acquired again */
  CHECK(ts_engine_step(on->engine, (END_MS + 40) * (int64_t)MS, &made) == TS_OK && made == 1 && all.n == n);
  CHECK(take(session, 0, acquired) == TS_OK && acquired[0].frame.index == n);
  wrong.session = session;
  CHECK(ts_session_set_callback(session, mistaken, &wrong) == TS_OK);
  CHECK(ts_engine_step(on->engine, (END_MS + 80) * (int64_t)MS, &made) == TS_OK && made == 1 && wrong.n == 1);
  CHECK(ts_session_set_callback(session, keep_all, &few) == TS_OK); /* one after another may be set */
  CHECK(push(session, on->sound, N_SOUND) == TS_OK);
  CHECK(ts_engine_step(on->engine, (END_MS + 1000) * (int64_t)MS, &made) == TS_OK && made == 5 && few.n == 5);
  CHECK(push(session, on->sound, 1) == TS_CLOSED); /* it stopped */
  CHECK(ts_session_set_callback(session, NULL, NULL) == TS_OK && take(session, -1, NULL) == TS_CLOSED);
  ts_session_destroy(session);
}

/* Frames that wait for somebody to acquire them go to the callback first. */
static void test_waiting(const stage* on) {
  const ts_session_params params = small_params();
  ts_session* session = session_of(on, &params);
  listener all = {NULL, NULL, 0, 0};
  int64_t made = 0;
  int i;
  all.on = on;
  CHECK(ts_engine_step(on->engine, 4000 * (int64_t)MS, NULL) == TS_OK);
  CHECK(ts_engine_step(on->engine, 5000 * (int64_t)MS, &made) == TS_OK && stats_of(session).frames == params.slots);
  CHECK(ts_session_set_callback(session, keep_all, &all) == TS_OK);
  CHECK(ts_engine_step(on->engine, 5000 * (int64_t)MS, &made) == TS_OK && all.n > (int)params.slots);
  for (i = 0; i < all.n && i < MOST; ++i) CHECK(called[i].frame.index == i);
  CHECK((uint64_t)all.n == stats_of(session).frames);
  ts_session_destroy(session);
}

static struct {
  int who, n;
  int64_t deadline_ns[2][MOST], last_ns;
  int in_order, turns;
} served;

static int serve(void* user, const ts_live_frame* frame) {
  const int who = *(const int*)user;
  served.in_order &= frame->times.deadline_ns >= served.last_ns;
  served.turns += who != served.who;
  served.who = who;
  served.last_ns = frame->times.deadline_ns;
  ++served.n;
  return 1;
}

/* The earliest deadline first, over all sessions of an engine. */
static void test_order(const stage* on) {
  static const int names[] = {0, 1};
  ts_session_params params = small_params();
  ts_session *slow, *fast;
  int64_t made = 0;
  slow = session_of(on, &params);
  params.fps = 60;
  fast = session_of(on, &params);
  CHECK(ts_session_set_callback(slow, serve, (void*)&names[0]) == TS_OK);
  CHECK(ts_session_set_callback(fast, serve, (void*)&names[1]) == TS_OK);
  CHECK(ts_engine_step(on->engine, 6000 * (int64_t)MS, NULL) == TS_OK);
  memset(&served, 0, sizeof served);
  served.in_order = 1;
  CHECK(ts_engine_step(on->engine, 7000 * (int64_t)MS, &made) == TS_OK);
  CHECK(made == 25 + 60 && served.n == made && served.in_order && served.turns > 40);
  ts_session_destroy(slow);
  ts_session_destroy(fast);
}

int main(int argc, char** argv) {
  stage on;
  if (argc != 3) return 2;
  if (!open_stage(&on, argv[1], argv[2])) return report("test_session_callback");
  test_frames(&on);
  test_waiting(&on);
  test_order(&on);
  close_stage(&on);
  return report("test_session_callback");
}
