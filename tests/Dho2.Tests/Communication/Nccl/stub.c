/* NCCL 2 and the CUDA runtime for the ranks of one process, in host memory: what a call means, not how it is done. Work
   is put on streams and done by other threads, so that callers see what they see on a device: nothing is done when a call
   returns. A call with a wrong number, or outside a group, is refused. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct { char internal[128]; } ncclUniqueId;
enum { Success = 0, InvalidArgument = 4, InvalidUsage = 5, RemoteError = 6, NotReady = 600 };
enum { Int8, Uint8, Int32, Uint32, Int64, Uint64, Float16, Float32, Float64, Bfloat16, Types };
static const size_t size_of[Types] = { 1, 1, 4, 4, 8, 8, 2, 4, 8, 2 };

#define RANKS 16
typedef struct message { const void *data; size_t bytes; int *taken; struct message *next; } message;
typedef struct group {
  char id[128]; int size, joined, arrived; long phase; int aborted, error;
  const void *bring[RANKS]; message *mail[RANKS][RANKS]; struct group *next;
} group;
typedef struct { group *g; int rank; } comm;
typedef struct { long issued, done; } stream;
typedef struct {
  char kind; const void *in; void *out; size_t count; int type, op, root; comm *c; stream *s; long ticket;
} work;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static group *groups;
static long ids;
static __thread int depth;

static float from_bf16(uint16_t v) { uint32_t w = (uint32_t)v << 16; float f; memcpy(&f, &w, 4); return f; }
static uint16_t to_bf16(float f) { uint32_t w; memcpy(&w, &f, 4); return (uint16_t)((w + 0x7fff + ((w >> 16) & 1)) >> 16); }

#define EACH(T) for (size_t i = 0; i < n; i++) { T *x = (T *)a + i, y = ((const T *)b)[i]; if (op == 0) *x = (T)(*x + y); else if (y > *x) *x = y; } break
static void combine(void *a, const void *b, size_t n, int type, int op) {
  switch (type) {
    case Int8: EACH(int8_t); case Uint8: EACH(uint8_t); case Int32: EACH(int32_t); case Uint32: EACH(uint32_t);
    case Int64: EACH(int64_t); case Uint64: EACH(uint64_t); case Float16: EACH(_Float16); case Float32: EACH(float); case Float64: EACH(double);
    case Bfloat16:
      for (size_t i = 0; i < n; i++) {
        float x = from_bf16(((uint16_t *)a)[i]), y = from_bf16(((const uint16_t *)b)[i]);
        ((uint16_t *)a)[i] = to_bf16(op == 0 ? x + y : y > x ? y : x);
      }
  }
}

/* Under the lock: waits for all ranks of the group; 0 if it was aborted meanwhile. */
static int meet(group *g) {
  long phase = g->phase;
  if (++g->arrived == g->size) { g->arrived = 0; g->phase++; pthread_cond_broadcast(&changed); return !g->aborted; }
  while (g->phase == phase && !g->aborted) pthread_cond_wait(&changed, &lock);
  return !g->aborted;
}

static void collective(work *w) {
  group *g = w->c->g; int me = w->c->rank; size_t bytes = w->count * size_of[w->type];
  g->bring[me] = w->in;
  if (!meet(g)) return;
  size_t mine = w->kind == 's' ? bytes * me : 0, length = w->kind == 'g' ? bytes * g->size : bytes;
  char *result = malloc(length + 1);
  if (w->kind == 'g') for (int r = 0; r < g->size; r++) memcpy(result + r * bytes, g->bring[r], bytes);
  else if (w->kind == 'b') memcpy(result, g->bring[w->root], bytes);
  else {
    memcpy(result, (const char *)g->bring[0] + mine, bytes);
    for (int r = 1; r < g->size; r++) combine(result, (const char *)g->bring[r] + mine, w->count, w->type, w->op);
  }
  if (meet(g)) memcpy(w->out, result, length);
  free(result);
}

static void *perform(void *arg) {
  work *w = arg; group *g = w->c->g; size_t bytes = w->count * size_of[w->type];
  pthread_mutex_lock(&lock);
  while (w->s->done != w->ticket && !g->aborted) pthread_cond_wait(&changed, &lock);
  if (w->kind == 'S') {
    int taken = 0; message m = { w->in, bytes, &taken, NULL }, **at = &g->mail[w->c->rank][w->root];
    while (*at) at = &(*at)->next;
    *at = &m; pthread_cond_broadcast(&changed);
    while (!taken && !g->aborted) pthread_cond_wait(&changed, &lock);
    if (!taken) { at = &g->mail[w->c->rank][w->root]; while (*at && *at != &m) at = &(*at)->next; if (*at) *at = m.next; }
  } else if (w->kind == 'R') {
    message **at = &g->mail[w->root][w->c->rank];
    while (!*at && !g->aborted) pthread_cond_wait(&changed, &lock);
    if (*at) { message *m = *at; if (m->bytes == bytes) memcpy(w->out, m->data, bytes); else g->error = InvalidUsage; *at = m->next; *m->taken = 1; }
  } else collective(w);
  w->s->done++; pthread_cond_broadcast(&changed);
  pthread_mutex_unlock(&lock);
  free(w);
  return NULL;
}

static int start(char kind, const void *in, void *out, size_t count, int type, int op, int root, comm *c, stream *s) {
  if (!c || !s || type < 0 || type >= Types || (op != 0 && op != 2) || root < 0 || root >= c->g->size) return InvalidArgument;
  if (depth == 0) return InvalidUsage;
  work *w = malloc(sizeof *w); pthread_t t;
  pthread_mutex_lock(&lock);
  *w = (work){ kind, in, out, count, type, op, root, c, s, s->issued++ };
  pthread_mutex_unlock(&lock);
  if (pthread_create(&t, NULL, perform, w)) return 1;
  pthread_detach(t);
  return Success;
}

int ncclGetVersion(int *v) { const char *t = getenv("STUB_NCCL_VERSION"); *v = t ? atoi(t) : 22105; return Success; }
int ncclGetUniqueId(ncclUniqueId *id) {
  memset(id, 0, sizeof *id);
  pthread_mutex_lock(&lock); snprintf(id->internal, 128, "id %ld", ++ids); id->internal[127] = 42; pthread_mutex_unlock(&lock);
  return Success;
}
int ncclCommInitRank(comm **c, int size, ncclUniqueId id, int rank) {
  if (size < 1 || size > RANKS || rank < 0 || rank >= size || id.internal[127] != 42) return InvalidArgument;
  pthread_mutex_lock(&lock);
  group *g = groups;
  while (g && memcmp(g->id, id.internal, 128)) g = g->next;
  if (!g) { g = calloc(1, sizeof *g); memcpy(g->id, id.internal, 128); g->size = size; g->next = groups; groups = g; }
  g->joined++; pthread_cond_broadcast(&changed);
  while (g->joined < g->size) pthread_cond_wait(&changed, &lock);
  pthread_mutex_unlock(&lock);
  *c = malloc(sizeof **c); **c = (comm){ g, rank };
  return Success;
}
int ncclCommDestroy(comm *c) { free(c); return Success; }
int ncclCommAbort(comm *c) { pthread_mutex_lock(&lock); c->g->aborted = 1; pthread_cond_broadcast(&changed); pthread_mutex_unlock(&lock); return Success; }
int ncclCommGetAsyncError(comm *c, int *e) { pthread_mutex_lock(&lock); *e = c->g->error; pthread_mutex_unlock(&lock); return Success; }
const char *ncclGetErrorString(int e) { return e == RemoteError ? "remote process exited or there was a network error" : e == InvalidUsage ? "invalid usage" : e == InvalidArgument ? "invalid argument" : "no error"; }
int ncclGroupStart(void) { depth++; return Success; }
int ncclGroupEnd(void) { return depth-- > 0 ? Success : InvalidUsage; }
int ncclAllReduce(const void *in, void *out, size_t n, int t, int op, comm *c, stream *s) { return start('r', in, out, n, t, op, 0, c, s); }
int ncclBroadcast(const void *in, void *out, size_t n, int t, int root, comm *c, stream *s) { return start('b', in, out, n, t, 0, root, c, s); }
int ncclAllGather(const void *in, void *out, size_t n, int t, comm *c, stream *s) { return start('g', in, out, n, t, 0, 0, c, s); }
int ncclReduceScatter(const void *in, void *out, size_t n, int t, int op, comm *c, stream *s) { return start('s', in, out, n, t, op, 0, c, s); }
int ncclSend(const void *in, size_t n, int t, int peer, comm *c, stream *s) { return start('S', in, NULL, n, t, 0, peer, c, s); }
int ncclRecv(void *out, size_t n, int t, int peer, comm *c, stream *s) { return start('R', NULL, out, n, t, 0, peer, c, s); }

int cudaSetDevice(int d) { return d < 0 || d > 7 ? 101 : 0; }
int cudaStreamCreateWithFlags(stream **s, unsigned flags) { if (flags != 1) return 1; *s = calloc(1, sizeof **s); return 0; }
int cudaStreamQuery(stream *s) {
  if (!s) return 0;
  pthread_mutex_lock(&lock); int open = s->done != s->issued; pthread_mutex_unlock(&lock);
  return open ? NotReady : 0;
}
int cudaStreamDestroy(stream *s) { free(s); return 0; }

/* For tests alone: what NCCL reports when a peer's machine has gone. */
void stub_fail_all(void) { pthread_mutex_lock(&lock); for (group *g = groups; g; g = g->next) g->error = RemoteError; pthread_mutex_unlock(&lock); }
