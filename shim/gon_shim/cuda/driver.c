/* The driver's part in C: what needs nothing of Python.

   At the mark the build puts the entries, made from the prototypes of cuda.h, and their table. */

struct gon_entry {
  const char *name;
  void *function;
};

/* Return what an entry fails with where Python is not asked. */
static CUresult gon_refusal(enum gon_state why) {
  if (why == GON_HOSTLESS)
    return CUDA_ERROR_NO_DEVICE;
  return why == GON_ENDED ? CUDA_ERROR_DEINITIALIZED : CUDA_ERROR_NOT_INITIALIZED;
}

/*** entries ***/

/* Return whether `entry` is `name`, or a later version of it: cuMemAlloc_v2 is cuMemAlloc. */
static int gon_is(const char *entry, const char *name) {
  size_t size = strlen(name);
  return !strncmp(entry, name, size) && (!entry[size] || !strncmp(entry + size, "_v", 2));
}

/* Programs that know an API by its oldest name are given its newest version, as cuda.h does for
   those that are compiled. */
static CUresult gon_find(const char *name, void **at, int *found) {
  const char *best = NULL;
  if (!name || !at)
    return CUDA_ERROR_INVALID_VALUE;
  *at = NULL;
  for (size_t i = 0; i < sizeof gon_table / sizeof *gon_table; i++)
    if (gon_is(gon_table[i].name, name) && (!best || strcmp(gon_table[i].name, best) > 0)) {
      best = gon_table[i].name;
      *at = gon_table[i].function;
    }
  *found = best != NULL;
  if (!best && getenv("GON_CUDA_VERBOSE"))
    fprintf(stderr, GON_API ": there is no %s\n", name);
  return best ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *name, void **at, int version, cuuint64_t flags) {
  int found = 0;
  (void)version, (void)flags;
  return gon_find(name, at, &found);
}

/* The first version fails where there is no such function, this one says so beside. */
CUresult cuGetProcAddress_v2(
    const char *name, void **at, int version, cuuint64_t flags,
    CUdriverProcAddressQueryResult *status) {
  int found = 0;
  CUresult code = gon_find(name, at, &found);
  (void)version, (void)flags;
  if (status)
    *status = found ? CU_GET_PROC_ADDRESS_SUCCESS : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  return code;
}

/* What NVIDIA's runtime library asks for in it is not documented. */
CUresult cuGetExportTable(const void **table, const CUuuid *id) {
  if (!table || !id)
    return CUDA_ERROR_INVALID_VALUE;
  *table = NULL;
  if (getenv("GON_CUDA_VERBOSE")) {
    fputs(GON_API ": there is no export table ", stderr);
    for (int i = 0; i < 16; i++)
      fprintf(stderr, "%02x", (unsigned char)id->bytes[i]);
    fputs(": programs of the CUDA runtime API are not served\n", stderr);
  }
  return CUDA_ERROR_NOT_FOUND;
}
