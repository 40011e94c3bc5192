/* A libnvidia-ml.so.1 that answers as one described machine does. Everything about the machine is in machine.h,
 * which __init__.py writes: DRIVER, CUDA, DEVICES[], BUSY and OURS, a RESULT_<function> for every function that must fail, and a
 * WITHOUT_<function> for every function that a library of that age does not have. */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  const char *name, *uuid;
  int major, minor;
  unsigned long long total, available; /* bytes */
  int mig;                             /* 1: MIG is on */
  int parent;                          /* index of the GPU this is an instance of, -1 for a GPU */
  int result;                          /* what asking for this device returns */
} Device;

#include "machine.h"

#define COUNT (sizeof(DEVICES) / sizeof(DEVICES[0]) - 1) /* the last one is a filler: C has no empty arrays */

enum { SUCCESS = 0, INVALID = 2, NOT_SUPPORTED = 3, NO_PERMISSION = 4, NOT_FOUND = 6, TOO_SMALL = 7 };

typedef struct {
  unsigned long long total, free, used;
} Memory;

static int copied(const char *text, char *into, unsigned size) {
  if (strlen(text) + 1 > size) return TOO_SMALL;
  strcpy(into, text);
  return SUCCESS;
}

static int initialised = 0;

#ifndef WITHOUT_nvmlInitWithFlags
int nvmlInitWithFlags(unsigned flags) {
  (void)flags;
  if (RESULT_nvmlInitWithFlags == SUCCESS) initialised++;
  return RESULT_nvmlInitWithFlags;
}
#endif

/* The caller must shut down as often as it initialised: stubOpen is for the tests. */
int nvmlShutdown(void) {
  initialised--;
  return SUCCESS;
}

int stubOpen(void) { return initialised; }

/* pynvml asks only for the words of codes that it does not know itself. */
const char *nvmlErrorString(int code) { return code == 27 ? "System is not in ready state" : "Unknown Error"; }

int nvmlSystemGetDriverVersion(char *version, unsigned length) {
  if (RESULT_nvmlSystemGetDriverVersion != SUCCESS) return RESULT_nvmlSystemGetDriverVersion;
  return copied(DRIVER, version, length);
}

#ifndef WITHOUT_nvmlSystemGetCudaDriverVersion_v2
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
  *version = CUDA;
  return RESULT_nvmlSystemGetCudaDriverVersion_v2;
}
#endif

int nvmlSystemGetCudaDriverVersion(int *version) {
  *version = CUDA;
  return RESULT_nvmlSystemGetCudaDriverVersion_v2;
}

int nvmlDeviceGetCount_v2(unsigned *count) {
  unsigned i;
  *count = 0;
  for (i = 0; i < COUNT; i++) *count += DEVICES[i].parent < 0;
  return RESULT_nvmlDeviceGetCount_v2;
}

int nvmlDeviceGetHandleByIndex_v2(unsigned index, const Device **device) {
  unsigned i, seen = 0;
  for (i = 0; i < COUNT; i++)
    if (DEVICES[i].parent < 0 && seen++ == index) {
      *device = &DEVICES[i];
      return DEVICES[i].result;
    }
  return INVALID;
}

int nvmlDeviceGetName(const Device *device, char *name, unsigned length) {
  return copied(device->name, name, length);
}

int nvmlDeviceGetUUID(const Device *device, char *uuid, unsigned length) {
  return copied(device->uuid, uuid, length);
}

#ifndef WITHOUT_nvmlDeviceGetCudaComputeCapability
int nvmlDeviceGetCudaComputeCapability(const Device *device, int *major, int *minor) {
  if (device->parent >= 0) return NOT_SUPPORTED; /* NVML answers this for whole GPUs only */
  *major = device->major;
  *minor = device->minor;
  return SUCCESS;
}
#endif

int nvmlDeviceGetMemoryInfo(const Device *device, Memory *memory) {
  if (device->mig && device->parent < 0) return NO_PERMISSION; /* as in a container that has one instance */
  if (device->total == 0) return NOT_SUPPORTED;                /* as on GPUs that share the processor's memory */
  memory->total = device->total;
  memory->free = device->available;
  memory->used = device->total - device->available;
  return SUCCESS;
}

#ifndef WITHOUT_nvmlDeviceGetMemoryInfo_v2
int nvmlDeviceGetMemoryInfo_v2(const Device *device, void *memory) {
  (void)device, (void)memory;
  return INVALID; /* nobody here asks for it */
}
#endif

typedef struct {
  unsigned gpu, memory;
} Rates;

int nvmlDeviceGetUtilizationRates(const Device *device, Rates *rates) {
  if (device->mig) return NOT_SUPPORTED;
  rates->gpu = BUSY;
  rates->memory = 0;
  return SUCCESS;
}

typedef struct {
  unsigned pid;
  unsigned long long when;
  unsigned sm, memory, encoder, decoder;
} Process;

/* Asked without room it says how much it needs; where nobody has computed since then, that nothing was found. */
int nvmlDeviceGetProcessUtilization(const Device *device, Process *into, unsigned *count, unsigned long long since) {
  const unsigned long long now = 1000;
  (void)device;
  if (OURS < 0) return NOT_SUPPORTED;
  if (since >= now) return NOT_FOUND;
  *count = OURS > 0 ? 2 : 1;
  if (into == NULL) return TOO_SMALL;
  into[0] = (Process){1, now, BUSY - OURS, 0, 0, 0};
  if (OURS > 0) into[1] = (Process){(unsigned)getpid(), now, OURS, 0, 0, 0};
  return SUCCESS;
}

#ifndef WITHOUT_nvmlDeviceGetMigMode
int nvmlDeviceGetMigMode(const Device *device, unsigned *current, unsigned *pending) {
  if (device->major < 8) return NOT_SUPPORTED;
  *current = *pending = (unsigned)device->mig;
  return SUCCESS;
}

int nvmlDeviceGetMaxMigDeviceCount(const Device *device, unsigned *count) {
  *count = device->mig ? 7 : 0;
  return SUCCESS;
}

/* Slot 0 is always empty: instances need not start at the first one. */
int nvmlDeviceGetMigDeviceHandleByIndex(const Device *device, unsigned slot, const Device **instance) {
  unsigned i, seen = 1;
  for (i = 0; i < COUNT; i++)
    if (DEVICES[i].parent == (int)(device - DEVICES) && seen++ == slot) {
      *instance = &DEVICES[i];
      return SUCCESS;
    }
  return NOT_FOUND;
}
#endif
