/* A layer of the OpenCL loader that calls every device a GPU, for programs that take nothing else:
 * what they do is then the device's own, by whatever way it is reached.
 *
 * Rules: says something else of a device's type, and passes on all else. The table's places are
 * those of cl_icd.h; no header is needed.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { GET_DEVICES = 2, GET_DEVICE_INFO = 3, CREATE_CONTEXT_FROM_TYPE = 5, ENTRIES_MAX = 512 };
enum { DEVICE_TYPE = 0x1000, LAYER_API_VERSION = 0x4240, LAYER_NAME = 0x4241, INVALID_VALUE = -30 };
#define TYPE_GPU ((uint64_t)4)
#define TYPE_ALL ((uint64_t)0xffffffff)

typedef int32_t get_devices_t(void *, uint64_t, uint32_t, void **, uint32_t *);
typedef int32_t get_info_t(void *, uint32_t, size_t, void *, size_t *);
typedef void *from_type_t(const intptr_t *, uint64_t, void *, void *, int32_t *);

static const void *const *below;
static const void *table[ENTRIES_MAX];

static uint64_t any(uint64_t type) { return type & TYPE_GPU ? TYPE_ALL : type; }

static int32_t get_devices(void *platform, uint64_t type, uint32_t room, void **at, uint32_t *count) {
  return ((get_devices_t *)below[GET_DEVICES])(platform, any(type), room, at, count);
}

static int32_t get_device_info(void *device, uint32_t what, size_t room, void *at, size_t *size) {
  const int32_t code = ((get_info_t *)below[GET_DEVICE_INFO])(device, what, room, at, size);
  const uint64_t type = TYPE_GPU;
  if (!code && what == DEVICE_TYPE && at) memcpy(at, &type, sizeof type);
  return code;
}

static void *from_type(const intptr_t *properties, uint64_t type, void *notify, void *data,
                       int32_t *code) {
  from_type_t *const make = (from_type_t *)below[CREATE_CONTEXT_FROM_TYPE];
  return make(properties, any(type), notify, data, code);
}

int32_t clGetLayerInfo(uint32_t what, size_t room, void *at, size_t *size) {
  static const uint32_t version = 100;
  static const char name[] = "as a GPU";
  const void *const said = what == LAYER_API_VERSION ? (const void *)&version : name;
  const size_t needed = what == LAYER_API_VERSION ? sizeof version : sizeof name;
  if (what != LAYER_API_VERSION && what != LAYER_NAME) return INVALID_VALUE;
  if (at && room < needed) return INVALID_VALUE;
  if (at) memcpy(at, said, needed);
  if (size) *size = needed;
  return 0;
}

int32_t clInitLayer(uint32_t count, const void *const *target, uint32_t *own_count,
                    const void *const **own) {
  const uint32_t taken = count < ENTRIES_MAX ? count : ENTRIES_MAX;
  below = target;
  memcpy(table, target, taken * sizeof *table);
  table[GET_DEVICES] = (const void *)get_devices;
  table[GET_DEVICE_INFO] = (const void *)get_device_info;
  table[CREATE_CONTEXT_FROM_TYPE] = (const void *)from_type;
  *own_count = taken;
  *own = table;
  return 0;
}
