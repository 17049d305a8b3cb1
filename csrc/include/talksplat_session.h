/* SPDX-License-Identifier: Apache-2.0 */
/* talksplat C ABI, second half: sessions. talksplat.h includes it, and its conventions hold here. */
#ifndef TALKSPLAT_SESSION_H
#define TALKSPLAT_SESSION_H

#ifndef TALKSPLAT_H
#error "Include talksplat.h."
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* ---- sessions: a live speaker ----
 *
 * Sound goes in as it comes, frames come out on time, and the face lives while it speaks, listens and waits.
 *
 * Time: a session's frame k is at k / fps seconds of its own clock, and its deadline is that much after the session's
 * start. The clock starts with the first push, or with the first acquire or callback if that comes first. A frame is
 * drawn as soon as the sound that it needs is there, at most one frame before its deadline, and can be acquired at once.
 *
 * Utterances: the first push after a flush begins one. Its frame 0 is the last frame of the clock whose deadline is not
 * later than the push and latency_ms - chunk_ms, so that sound that was spoken at t is seen and heard by t + latency_ms.
 * From there on its frames follow each other, and their lips are those of ts_speech. Where the sound that a frame needs
 * is not there by its deadline, the session is starved: the mouth closes softly, the face lives on, and the utterance
 * goes on where it was once the sound is there; none is lost. Utterances that are pushed ahead follow each other.
 *
 * Queues are bounded. Sound waits in queue_ms of memory: a push that does not fit is refused as a whole (TS_QUEUE_FULL).
 * Frames wait in `slots` pictures: while none is free, because nobody acquires or releases, the clock stands still
 * (stalled_ms counts it), and goes on from there. So it does where the process was suspended for more than a second.
 *
 * Threads: every function may be called from any thread. All sessions of an engine share its threads, the earliest
 * deadline first. A session that has made as many frames as it has slots, and has seen a push of every kind, rate and
 * number of channels that it will get, allocates nothing.
 */

#define TS_MIN_SLOTS 2 /* pictures of a session */
#define TS_MAX_SLOTS 64
#define TS_MIN_QUEUE_MS 100
#define TS_MAX_QUEUE_MS 14400000  /* four hours */
#define TS_MAX_LATENCY_MS 60000.0 /* more than 0 */
#define TS_MAX_CHUNK_MS 10000.0
#define TS_MAX_FADE_MS 2000
#define TS_MAX_UTTERANCES 64 /* that wait in a session's queue */
#define TS_N_EMOTIONS 6

typedef enum ts_on_late {
  TS_LATE_HOLD = 0, /* a frame that cannot be drawn in time shows the picture of the one before it */
  TS_LATE_SKIP = 1  /* it is left out, and the next one has its samples too */
} ts_on_late;

typedef enum ts_idle {
  TS_IDLE_ALIVE = 0, /* between utterances the face blinks, looks about and moves */
  TS_IDLE_STILL = 1, /* it rests, whatever is set; every frame is drawn */
  TS_IDLE_NONE = 2   /* there are no frames between utterances */
} ts_idle;

typedef enum ts_clock {
  TS_CLOCK_REAL = 0,  /* a thread of the engine draws frames as they become due */
  TS_CLOCK_CALLER = 1 /* ts_engine_step draws them; time is what it is told */
} ts_clock;

typedef enum ts_emotion {
  TS_HAPPY = 0,
  TS_SAD = 1,
  TS_ANGRY = 2,
  TS_SURPRISED = 3,
  TS_AFRAID = 4,
  TS_DISGUSTED = 5
} ts_emotion;

typedef struct ts_session_params {
  uint32_t struct_size;
  double fps;             /* 0: the avatar's own where it is TS_MIN_FPS..TS_MAX_FPS, else 25 */
  uint32_t width, height; /* both 0: the canvas's */
  ts_format format;
  ts_precision precision;
  double latency_ms; /* from a sound to its frame, at most; refused where it cannot be kept */
  double chunk_ms;   /* how much sound a push brings: its first sample has waited so long; to TS_MAX_CHUNK_MS */
  ts_on_late on_late;
  ts_idle idle;
  ts_clock clock;
  uint32_t slots;                  /* pictures: TS_MIN_SLOTS..TS_MAX_SLOTS */
  uint32_t queue_ms;               /* sound that can wait: TS_MIN_QUEUE_MS..TS_MAX_QUEUE_MS */
  uint32_t flush_after_ms;         /* an utterance that is starved for so long ends, as if it were flushed; 0: never, to
                                      TS_MAX_QUEUE_MS */
  uint32_t rate_hz, channels;      /* of the silence that frames carry before the first push */
  uint64_t seed;                   /* of blinks, gaze, head motion and breath */
  float mouth, head, blink;        /* as in ts_speech_params */
  const ts_background* background; /* copied. Nullable: the avatar's own: its plate, or its colour */
  double feature_look_ahead_ms;    /* rows of features come so much later than the sound that they were made of, what
                                      their encoder hears after it and its work together; 0 where sound is not pushed */
} ts_session_params;

static inline ts_session_params ts_session_params_default(void) {
  ts_session_params params = {sizeof(ts_session_params),
                              0,
                              0,
                              0,
                              TS_FORMAT_RGBA8,
                              TS_PRECISION_DEFAULT,
                              200,
                              20,
                              TS_LATE_HOLD,
                              TS_IDLE_ALIVE,
                              TS_CLOCK_REAL,
                              4,
                              60000,
                              1000,
                              16000,
                              1,
                              0,
                              1.0f,
                              1.0f,
                              1.0f,
                              NULL,
                              0};
  return params;
}

/* What a session's face does besides speaking. */
typedef struct ts_presence {
  uint32_t struct_size;
  uint32_t look;      /* 1: the eyes are on `gaze`, with the small shifts that eyes make; 0: they go where they like */
  float gaze[2];      /* to the face's left and up, -1..1; 1 is as far as eyes turn */
  float head_pose[3]; /* added to the head's motion: axis-angle, radians, in ARKit's axes, each -1..1 */
  float head, blink;  /* amounts, 0..2, times those of ts_session_params; head up to 1 is breath's, too */
  float listening;    /* 0..1: attends to somebody: nods, raised brows, eyes on the viewer */
  float emotion[TS_N_EMOTIONS]; /* 0..1 of each; their sum is at most 1 in effect */
} ts_presence;

static inline ts_presence ts_presence_default(void) {
  ts_presence presence = {sizeof(ts_presence), 0, {0, 0}, {0, 0, 0}, 1.0f, 1.0f, 0, {0, 0, 0, 0, 0, 0}};
  return presence;
}

enum {
  TS_LIVE_SPEECH = 1,       /* of an utterance */
  TS_LIVE_IDLE = 2,         /* of none */
  TS_LIVE_STARVED = 4,      /* of an utterance whose sound is not there: the frame has silence */
  TS_LIVE_LATE = 8,         /* ready after its deadline */
  TS_LIVE_HELD = 16,        /* late, and shows the picture of the frame before it (TS_LATE_HOLD) */
  TS_LIVE_SEGMENT_END = 32, /* the last of its utterance */
  TS_LIVE_FADING = 64       /* of none: the mouth of an interrupted utterance closes, or its sound fades */
};

/* When a frame's stages were, in nanoseconds of ts_now_ns() or of the caller's clock. */
typedef struct ts_live_times {
  int64_t heard_ns;    /* its last needed sample was pushed; the session's start for idle frames */
  int64_t released_ns; /* it might be drawn */
  int64_t begun_ns;    /* its turn came */
  int64_t driven_ns;   /* sound had become a control */
  int64_t ready_ns;    /* it was drawn */
  int64_t deadline_ns;
} ts_live_times;

/* A frame of a session, lent until it is released. */
typedef struct ts_live_frame {
  uint32_t struct_size;
  uint32_t flags; /* TS_LIVE_... */
  uint32_t slot;  /* for ts_session_release */
  uint32_t rate_hz, channels;
  int64_t index;       /* k: the frame is at k / fps seconds */
  int64_t pts_samples; /* its first sample, at rate_hz from the clock's start: ts_first_sample(k, rate_hz, fps) */
  int64_t n_samples;
  const float* samples;   /* [n_samples,channels] the sound of its time; zeros where nobody speaks */
  int64_t segment;        /* number of its utterance, from 0; -1: none */
  int64_t segment_sample; /* the utterance's first sample in it; -1: none */
  uint32_t width, height;
  ts_format format;
  int64_t stride_bytes;
  const void* data; /* the picture */
  ts_live_times times;
  ts_receipt receipt; /* of its drawing; zeros where it was held */
} ts_live_frame;

typedef struct ts_session_stats {
  uint32_t struct_size;
  uint32_t sessions;       /* open on this engine, this one included */
  uint32_t feature_floats; /* of a row of ts_session_push_features; 0: no features move this avatar */
  double fps, latency_ms;
  double smallest_latency_ms; /* that would have been accepted when it was created */
  double look_ahead_ms;
  double p50_ms, p95_ms, p99_ms; /* from when a frame could be drawn (its last sample there) to when it was ready */
  double max_ms;
  uint64_t frames, speech, idle, starved; /* frames made, and of these */
  uint64_t late, late_by_host; /* ready after the deadline; of these, those that the host's other work made late */
  uint64_t held, skipped;      /* late, by on_late */
  uint64_t dropped; /* frames of an interrupted utterance that nobody had acquired: their numbers are missing */
  uint64_t stalls;
  double stalled_ms;        /* for which the clock stood still */
  double queued_ms;         /* sound that waits */
  double cpu_ms;            /* that the thread which draws was busy for it; of a round its share */
  uint64_t bytes;           /* of its memory */
  const uint8_t* has_place; /* [54] 1: the avatar is moved by this ARKit weight, the head pose, breath */
} ts_session_stats;

TS_API int64_t ts_now_ns(void); /* the clock of sessions: steady, whatever the system's time does */

/* voice: Nullable: for an avatar that is moved by features or controls alone. params: Nullable: the defaults.
 * TS_LATENCY_REFUSED where latency_ms is less than chunk + look-ahead + feature_look_ahead_ms + one frame + p99 of
 * drawing, measured now, with all sessions that are open; the message has the sum. *smallest_ms (Nullable) is it either way, and
 * infinite where the engine has no time for one session more. With the caller's clock drawing does not count. */
TS_API ts_status ts_session_create(const ts_avatar* avatar, const ts_voice* voice, const ts_session_params* params,
                                   ts_session** session, double* smallest_ms);
/* At once, with frames that are lent. No other thread may be inside a function of the session, nor come later: end
 * their waits by ts_session_abort. A callback that runs is waited for. */
TS_API void ts_session_destroy(ts_session* session);

/* n samples of every channel, interleaved; all of them or, on failure, none. Never waits. TS_AUDIO_INVALID as in
 * ts_speech_push, TS_QUEUE_FULL, TS_CLOSED. Rate and channels may change from utterance to utterance. */
TS_API ts_status ts_session_push_audio(ts_session* session, ts_sample_format format, uint32_t rate_hz,
                                       uint32_t channels, const void* samples, int64_t n);
/* Rows of features, one a frame, of an avatar whose encoder is not built in: [n,length * channels] of its windows, which
 * ts_session_stats.feature_floats is. Sound of the same utterance is carried by its frames, and may come before them. */
TS_API ts_status ts_session_push_features(ts_session* session, const float* rows, int64_t n);
/* Controls, one a frame, [n,n_control]: nothing is added to them. */
TS_API ts_status ts_session_push_controls(ts_session* session, const float* rows, int64_t n);
TS_API ts_status ts_session_flush(ts_session* session); /* the utterance ends with what was pushed */
/* Barge-in: what is queued is dropped, the mouth closes within fade_ms and one frame, and the next push begins another
 * utterance. Frames of it that wait to be acquired are dropped, and the next one is at its own time. *position
 * (Nullable): samples of the utterance in frames that were handed out, or are just being drawn, at full volume; -1 where
 * nobody spoke. */
TS_API ts_status ts_session_interrupt(ts_session* session, uint32_t fade_ms, int64_t* position);
TS_API ts_status ts_session_set(ts_session* session, const ts_presence* presence);
/* No more pushes. What was pushed is spoken; then the frames end: acquire returns TS_CLOSED. */
TS_API ts_status ts_session_close(ts_session* session);
/* Ends it now, while other threads may be inside: what is queued is dropped, nothing more is drawn, who waits in acquire
 * gets TS_CLOSED, and so does every later push and acquire. Frames that are lent stay as they are until they are
 * released, and ts_session_get_stats still tells. Once more does nothing. */
TS_API ts_status ts_session_abort(ts_session* session);

/* The next frame. TS_TIMEOUT after timeout_ns (0: not at all, negative: for ever), TS_CLOSED after the last. With the
 * caller's clock it never waits. */
TS_API ts_status ts_session_acquire(ts_session* session, int64_t timeout_ns, ts_live_frame* frame);
TS_API ts_status ts_session_release(ts_session* session, const ts_live_frame* frame);
/* Every frame in turn, on the thread that drew it, instead of acquire; it is released when the callback returns. While
 * it runs, no session of the engine draws. It may make and destroy other sessions. It must not destroy its own, set its callback or step its engine. 0:
 * stop, as ts_session_close does without what is queued. callback: Nullable: frames are acquired again. When this
 * returns, the callback of before does not run. */
typedef int (*ts_live_callback)(void* user, const ts_live_frame* frame);
TS_API ts_status ts_session_set_callback(ts_session* session, ts_live_callback callback, void* user);

TS_API ts_status ts_session_get_stats(const ts_session* session, ts_session_stats* stats);

/* Draws what is due by time_ns in all sessions of the engine that have the caller's clock, the earliest deadline first,
 * on this thread, as far as there are free slots; on a GPU a frame of every session that has one due in one go. Time begins at 0 and never goes back. *n_frames (Nullable): how many
 * frames it made. */
TS_API ts_status ts_engine_step(ts_engine* engine, int64_t time_ns, int64_t* n_frames);

#ifdef __cplusplus
}
#endif
#endif
