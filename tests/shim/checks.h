/* What programs of OpenCL check by: a line that is not so is printed, and the function returns 1.
   Whoever includes it has CL/cl.h and stdio.h. */
#ifndef CHECKS_H
#define CHECKS_H

#define IS(call, wanted) do { cl_int is = (call); if (is != (wanted)) { \
  printf("line %d: %s: %d, not %d\n", __LINE__, #call, is, wanted); return 1; } } while (0)
#define GOOD(call) IS(call, CL_SUCCESS)
#define TRUE(what) do { if (!(what)) { printf("line %d: %s\n", __LINE__, #what); return 1; } } while (0)

#endif
