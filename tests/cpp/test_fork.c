/* SPDX-License-Identifier: Apache-2.0 */
/* fork() with engines about: a child is told so or draws on an engine of its own, and never waits for a thread that it
 * has not. Its argument is an avatar file. */
#if defined(__linux__)
#define _GNU_SOURCE /* unshare */
#include <sched.h>
#else
#define _POSIX_C_SOURCE 200809L
#endif
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check_c.h"
#include "talksplat.h"

enum { SIDE = 96, FORKS = 12, PATIENCE_S = 20 };

static ts_engine* engine;
static ts_avatar* avatar;
static ts_frame* frame;
static const char* path;
static atomic_int stop, drawn;

static ts_frame* frame_of(const ts_avatar* of) {
  ts_frame_params params = ts_frame_params_default();
  ts_frame* made = NULL;
  params.width = params.height = SIDE;
  params.format = TS_FORMAT_RGB8;
  return ts_frame_create(of, &params, &made) == TS_OK ? made : NULL;
}

static ts_status draw(ts_frame* on) {
  static _Thread_local unsigned char pixels[SIDE * SIDE * 3];
  ts_image image;
  memset(&image, 0, sizeof image);
  image.struct_size = sizeof image;
  image.format = TS_FORMAT_RGB8;
  image.width = image.height = SIDE;
  image.data = pixels;
  return ts_frame_render(on, NULL, &image, NULL);
}

static void* draw_on(void* unused) {
  (void)unused;
  while (!stop) {
    if (draw(frame) == TS_OK) ++drawn;
  }
  return NULL;
}

static int open_engine(void) {
  ts_engine_params params = ts_engine_params_default();
  params.threads = 3;
  if (ts_engine_create(&params, &engine) != TS_OK) return 61;
  if (ts_avatar_load(engine, path, &avatar) != TS_OK) return 62;
  frame = frame_of(avatar);
  return frame && draw(frame) == TS_OK ? 0 : 63;
}

/* What a child does: each returns 0, or the number of the check that failed. */
static int is_told(void) {
  static float vertex[3];
  ts_engine_info info;
  ts_avatar_info about;
  ts_frame_info of_frame;
  ts_face face;
  ts_avatar* other = NULL;
  ts_gaussians out;
  memset(&info, 0, sizeof info);
  info.struct_size = sizeof info;
  memset(&about, 0, sizeof about);
  about.struct_size = sizeof about;
  memset(&of_frame, 0, sizeof of_frame);
  of_frame.struct_size = sizeof of_frame;
  memset(&face, 0, sizeof face); /* no frames of it */
  face.struct_size = sizeof face;
  memset(&out, 0, sizeof out);
  out.struct_size = sizeof out;
  if (draw(frame) != TS_DEVICE_ERROR) return 1;
  if (!strstr(ts_last_error(), "made before fork()")) return 2;
  if (ts_engine_get_info(engine, &info) != TS_DEVICE_ERROR) return 3;
  if (ts_avatar_load(engine, path, &other) != TS_DEVICE_ERROR || other) return 4;
  if (ts_avatar_get_info(avatar, &about) != TS_OK) return 5;
  out.n = about.n_source;
  if (ts_frame_gaussians(frame, NULL, &out) != TS_DEVICE_ERROR) return 6;
  if (ts_frame_vertices(frame, NULL, about.n_vertices ? malloc(about.n_vertices * sizeof vertex) : vertex,
                        about.n_vertices) != TS_DEVICE_ERROR)
    return 7;
  if (frame_of(avatar)) return 8;
  if (ts_frame_get_info(frame, &of_frame) != TS_OK || of_frame.width != SIDE) return 9;
  if (ts_avatar_retarget(avatar, &face, NULL, NULL) != TS_OK) return 10;
  return 0;
}

static int destroys(void) {
  ts_engine_destroy(engine);
  ts_avatar_destroy(avatar);
  ts_frame_destroy(frame);
  return 0;
}

static int makes_its_own(void) {
  ts_engine_params params = ts_engine_params_default();
  ts_engine* own = NULL;
  ts_avatar* loaded = NULL;
  ts_frame* drawn_on;
  params.threads = 3;
  if (ts_engine_create(&params, &own) != TS_OK) return 1;
  if (ts_avatar_load(own, path, &loaded) != TS_OK) return 2;
  drawn_on = frame_of(loaded);
  if (!drawn_on || draw(drawn_on) != TS_OK) return 3;
  ts_frame_destroy(drawn_on);
  ts_avatar_destroy(loaded);
  ts_engine_destroy(own);
  return 0;
}

static int all_of_it(void) {
  const int told = is_told(), made = makes_its_own();
  return told ? told : made ? 20 + made : destroys();
}

static void give_up(int number) { _exit(number); }

static int in_child(int (*life)(void)) {
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGALRM, give_up); /* by default, the first process of a PID namespace would ignore it */
    alarm(PATIENCE_S);
    _exit(life());
  }
  if (child < 0 || waitpid(child, &status, 0) != child) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

#if defined(__linux__)
/* In a PID namespace of its own a child is number 1, as its parent may be in the namespace around it. */
enum { NO_NAMESPACE = 77 }; /* an exit status that no check has */
static int begins_a_namespace(int (*life)(void)) {
  return unshare(CLONE_NEWPID) == 0 || unshare(CLONE_NEWUSER | CLONE_NEWPID) == 0 ? in_child(life) : NO_NAMESPACE;
}
static int is_told_as_1(void) { return getpid() == 1 ? is_told() : 50; }
static int is_1(void) {
  const int made = open_engine();
  return getpid() != 1 ? 60 : made ? made : begins_a_namespace(is_told_as_1);
}
static int begins_two_namespaces(void) { return begins_a_namespace(is_1); }
#endif

int main(int argc, char** argv) {
  const struct timespec pause = {0, 7000000};
  ts_avatar* none = NULL;
  pthread_t worker;
  int i;
  if (argc != 2) return 2;
  path = argv[1];
#if defined(__linux__)
  i = in_child(begins_two_namespaces);
  CHECK(i == 0 || i == NO_NAMESPACE);
  if (i == NO_NAMESPACE) puts("this system allows no PID namespaces: they are not tested");
#endif
  CHECK(open_engine() == 0);
  CHECK(in_child(is_told) == 0);
  CHECK(in_child(destroys) == 0);
  CHECK(in_child(makes_its_own) == 0);

  CHECK(pthread_create(&worker, NULL, draw_on, NULL) == 0);
  for (i = 0; i < FORKS; ++i) {
    nanosleep(&pause, NULL);
    CHECK(in_child(all_of_it) == 0);
  }
  stop = 1;
  CHECK(pthread_join(worker, NULL) == 0);
  CHECK(drawn > 0);
  CHECK(draw(frame) == TS_OK); /* the parent goes on */
  CHECK_ERROR(ts_avatar_load(engine, "no such avatar", &none), TS_AVATAR_NOT_FOUND, "no such file");
  ts_frame_destroy(frame);
  ts_avatar_destroy(avatar);
  ts_engine_destroy(engine);
  return report("test_fork");
}
