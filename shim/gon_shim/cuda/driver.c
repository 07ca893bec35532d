/* The driver's part in C: what needs nothing of Python.

   At the mark the build puts the entries, made from the prototypes of cuda.h, and their table. */

/* A version of a function: what it is called without and with its suffix, since which CUDA it is
   there, and where it is, NULL for one that is not here. */
struct gon_entry {
  const char *base, *name;
  int since;
  void *function;
};

/* Return what an entry fails with where Python is not asked. */
static CUresult gon_refusal(enum gon_state why) {
  if (why == GON_HOSTLESS)
    return CUDA_ERROR_NO_DEVICE;
  return why == GON_ENDED ? CUDA_ERROR_DEINITIALIZED : CUDA_ERROR_NOT_INITIALIZED;
}

/*** entries ***/

/* Return the function of a name: that of just this one, or the newest version that the version of CUDA
   that is asked for has. An older one would take other arguments. */
static CUresult gon_find(
    const char *name, void **at, int version, CUdriverProcAddressQueryResult *status) {
  const struct gon_entry *best = NULL;
  int is_known = 0;
  if (!name || !at)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < sizeof gon_table / sizeof *gon_table; i++) {
    const struct gon_entry *entry = &gon_table[i];
    if (!strcmp(entry->name, name) && strcmp(entry->base, name)) {
      best = entry;
      break;
    }
    if (strcmp(entry->base, name))
      continue;
    is_known = is_known || entry->function;
    if (entry->since <= version && (!best || entry->since >= best->since))
      best = entry;
  }
  *at = best ? best->function : NULL;
  *status = *at ? CU_GET_PROC_ADDRESS_SUCCESS
            : is_known && !best ? CU_GET_PROC_ADDRESS_VERSION_NOT_SUFFICIENT
                                : CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  if (!*at && getenv(GON_VERBOSE))
    fprintf(stderr, GON_API ": there is no %s of CUDA %d\n", name, version);
  return *at ? CUDA_SUCCESS : CUDA_ERROR_NOT_FOUND;
}

CUresult cuGetProcAddress(const char *name, void **at, int version, cuuint64_t flags) {
  CUdriverProcAddressQueryResult status;
  (void)flags;
  return gon_find(name, at, version, &status);
}

/* The first version fails where there is no such function, this one says so beside. */
CUresult cuGetProcAddress_v2(
    const char *name, void **at, int version, cuuint64_t flags,
    CUdriverProcAddressQueryResult *status) {
  CUdriverProcAddressQueryResult found = CU_GET_PROC_ADDRESS_SYMBOL_NOT_FOUND;
  CUresult code = gon_find(name, at, version, &found);
  (void)flags;
  if (status)
    *status = found;
  return code;
}

/* What NVIDIA's runtime library asks for in it is not documented. */
CUresult cuGetExportTable(const void **table, const CUuuid *id) {
  if (!table || !id)
    return CUDA_ERROR_INVALID_VALUE;
  *table = NULL;
  if (getenv(GON_VERBOSE)) {
    fputs(GON_API ": there is no export table ", stderr);
    for (int i = 0; i < 16; i++)
      fprintf(stderr, "%02x", (unsigned char)id->bytes[i]);
    fputs(": programs of the CUDA runtime API are not served\n", stderr);
  }
  return CUDA_ERROR_NOT_FOUND;
}
